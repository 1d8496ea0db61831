"""A wheel of coarse timers. It owns no descriptor and reads no clock: who turns it says what time it is."""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.io.actor cimport Actor, Timer

cdef enum:
    # How coarse: time-outs here are a second or more, and an idle loop wakes up at most a hundred times a
    # second.
    TICK_NS = 10000000

@final
cdef class Wheel:
    # slot -> first Timer or None; the last slot holds those that are due.
    cdef list slots
    cdef uint64_t* occupied                # owned; has one bit per slot
    # The due timers stand in the order of their ticks; None: none is due.
    cdef Timer due_tail
    cdef int64_t turned                    # the tick up to which all slots have been looked at
    cdef int64_t next_tick                 # when it has to be turned; 0: not before a timer is armed
    cdef Py_ssize_t armed                  # timers

    cdef int arm(self, Timer timer, Actor owner, int64_t deadline) except -1   # arming again moves it
    cdef int disarm(self, Timer timer) except -1                               # idempotent
    # Moves what is due by now to the due list.
    cdef int turn(self, int64_t now) except -1
    # The first of the due list, disarmed; it still refers to its owner. Only when due_tail is not None.
    cdef Timer take_due(self)
    cdef int clear(self) except -1                                             # disarms all

    cdef inline bint is_due(self, int64_t now) noexcept:
        return self.due_tail is not None or (self.next_tick != 0 and now >= self.next_tick * TICK_NS)

    cdef int link(self, Timer timer) except -1
    cdef int link_due(self, Timer timer) except -1
    cdef int unlink(self, Timer timer) except -1
    cdef int turn_slot(self, uint32_t slot, int64_t current) except -1
    cdef int find_next_tick(self) except -1
