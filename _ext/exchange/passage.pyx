# cython: language_level=3
"""Passages are made once for each answer of policy and read by each request."""

from linkerd2_py._ext.metrics.labels import make_labels


cdef class Examiner:
    pass


cdef class Passage:
    def __init__(
        self, *, str refusal=None, int status=403, bint mistrusts=False, Examiner examiner=None,
        Refusal instead=None, Edits edits=None, Gate gate=None, bint limited=True,
        tuple labels=(), Counter requests=None,
    ):
        self.refusal = None if refusal is None else refusal.encode("ascii", "replace")
        self.status = status
        self.mistrusts = mistrusts
        self.examiner = examiner
        self.instead = instead
        self.edits = edits
        self.gate = gate
        self.plain = refusal is None and instead is None and edits is None and examiner is None
        self.limited = limited
        self.labels = make_labels(labels)
        self.requests = requests
