# cython: language_level=3
"""Three numbers that are no mistakes."""


cdef class Timeouts:
    def __init__(self, *, int64_t request_ns=0, int64_t head_ns=0, int64_t response_ns=0, int64_t idle_ns=0):
        if min(request_ns, head_ns, response_ns, idle_ns) < 0:
            raise ValueError("Timeouts: a time below 0")
        self.request_ns = request_ns
        self.head_ns = head_ns
        self.response_ns = response_ns
        self.idle_ns = idle_ns
        self.soonest_ns = min([one for one in (request_ns, head_ns, idle_ns) if one], default=0)
