# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Ways are few: one is found by looking at each."""

from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE

from linkerd2_py._ext.core.random cimport random_below

cdef uint64_t WEIGHTS_MAX = <uint64_t> 1 << 32


cdef class Way:
    def __init__(
        self, Logical logical=None, *, uint64_t weight=1, Refusal refusal=None, RouteMetrics metrics=None,
        Edits request_edits=None, Edits response_edits=None,
    ):
        self.logical = logical
        self.weight = weight
        self.refusal = refusal
        self.metrics = metrics
        self.request_edits = request_edits
        self.response_edits = response_edits


cdef class Split(Ways):
    def __init__(self, ways):
        cdef Way way
        self.ways = tuple([make_way(<Way?> way, self) for way in ways if (<Way?> way).weight])
        if not self.ways or self.total > WEIGHTS_MAX:
            raise ValueError("Split: some way, and weights of 2^32 in all at most")
        self.only = self.ways[0] if len(self.ways) == 1 else None

    cdef Way pick(self):
        cdef Py_ssize_t i, count = PyTuple_GET_SIZE(self.ways)
        cdef uint64_t drawn
        drawn = random_below(self.total)
        for i in range(count - 1):
            if drawn < (<Way> <object> PyTuple_GET_ITEM(self.ways, i)).until:
                return <Way> <object> PyTuple_GET_ITEM(self.ways, i)
        return <Way> <object> PyTuple_GET_ITEM(self.ways, count - 1)


    cdef bint is_ready(self, Logical own) noexcept:
        cdef Way way
        cdef Py_ssize_t i
        for i in range(PyTuple_GET_SIZE(self.ways)):
            way = <Way> <object> PyTuple_GET_ITEM(self.ways, i)
            if way.refusal is None and (own if way.logical is None else way.logical).is_ready():
                return True
        return False


cdef Way make_way(Way given, Split split):
    """A copy, for whoever gave it may give it to another split, too."""
    cdef Way way = Way(
        given.logical, weight=given.weight, refusal=given.refusal, metrics=given.metrics,
        request_edits=given.request_edits, response_edits=given.response_edits,
    )
    split.total += way.weight
    way.until = split.total
    return way
