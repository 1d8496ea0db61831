"""All targets of one direction by their keys: found or made for traffic, told to the shell when new and when
idle."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.route.target cimport Side, Target

cdef class TargetTable(Side):
    cdef object on_unknown_target, on_idle_target
    cdef int64_t idle_ns
    cdef dict by_key                    # bytes -> Target
    cdef readonly int in_flight         # exchanges
    cdef Timer sweep
    cdef Target find(self, bytes key)   # as for traffic: makes it and asks the shell when unknown
    # The same, or what its key means now: a connection may outlive its target.
    cdef Target current(self, Target target)
    cdef int watch_idle(self) except -1
