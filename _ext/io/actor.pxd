"""Whom the loop calls, and the timers that it calls them by."""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.core.types cimport flag

cdef class Timer

cdef class Actor:
    """Anything the loop can call.

    Deferred and timed actors are kept alive by the loop (it holds a reference).
    """
    cdef flag deferred                     # already in the loop's deferred queue
    cdef Actor next_deferred               # owned link of that queue; None outside
    # Queued with Loop.defer; runs once, after the current event, before drain returns or in the next drain.
    cdef int on_deferred(self) except -1
    cdef int on_timer(self, Timer timer) except -1
    # An exception escaped one of the callbacks above (or on_event, on_flush): end whatever this actor stands
    # for, or see to it that it goes on later. Called once per exception. Every actor with work says what it
    # does; a debug build ends the process at one that does not.
    cdef int on_broken(self) except -1

cdef class Timer:
    """A coarse timer, never early by loop time. Owned by its actor: `self.idle = Timer(self, KIND)`.

    Armed and disarmed by the loop, both in constant time. The loop holds a reference to an armed timer; the
    timer refers to its owner only while armed.
    """
    cdef int kind                          # what the owner calls it
    cdef Actor owner                       # set when armed, cleared on expiry and disarm: no cycle when idle
    cdef flag armed
    cdef int64_t deadline                  # loop ns
    cdef uint32_t slot                     # of the wheel, as are the links
    cdef Timer prev                        # owned
    cdef Timer next                        # owned
