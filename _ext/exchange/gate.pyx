# cython: language_level=3
"""Gates know nothing of who is asked."""


cdef class Gate(Actor):
    pass


cdef class Held(Actor):
    cdef int withdraw(self) except -1:
        raise NotImplementedError("Held.withdraw")


cdef class Denial:
    def __init__(
        self, int status, *, str text not None, Edits fields=None, bytes body not None=b"",
        bytes message not None=b"",
    ):
        if not 200 <= status <= 599:
            raise ValueError(f"a denial with the status {status}")
        self.status = status
        self.text = text.encode("ascii", "replace")
        self.fields = fields
        self.body = b"" if status in (204, 205, 304) else body
        self.message = message
