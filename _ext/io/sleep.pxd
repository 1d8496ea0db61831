"""How the loop waits: for a moment without sleeping, where that pays, and asleep for the outer loop, too,
where that lets it.

The loop makes the calls; here stands what they depend on.
"""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.io.outer cimport OuterLoop

cdef enum:
    # How long a busy wait lasts. To wake a process that sleeps takes about as long, so a wait in vain costs
    # as much as a sleep that it could have saved.
    SPIN_NS = 50000

@final
cdef class BusyWait:
    """With little load, where each event waits for a process on another processor, to be woken costs more
    than the work. So a busy wait is tried after some sleeps in a row that were short. After a miss more of
    them are wanted, so that waiting in vain, perhaps for somebody who needs this very processor, comes to an
    end."""
    cdef bint pays                         # so say the last sleeps
    cdef int64_t slept_at                  # loop ns of when the last sleep began
    cdef uint32_t short_gaps               # sleeps that were short, in a row
    cdef uint32_t gaps_wanted              # so many make the next try worth it
    cdef uint64_t tried, hits
    # The end of a sleep: was it one that waiting would have saved?
    cdef int woken(self, int64_t now) noexcept
    cdef bint hit(self) noexcept           # it brought an event; true
    cdef bint missed(self) noexcept        # in vain; false

@final
cdef class SharedSleep:
    """One sleep for two loops: an event of ours then costs one wake-up instead of two."""
    cdef int epfd                          # borrowed from the loop
    cdef OuterLoop outer                   # owned; None: the outer loop sleeps for us
    cdef bint owning                       # we sleep for both
    cdef bint outer_due                    # the outer loop has an event
    cdef int64_t entered_at                # loop ns of the last call from the outer loop
    cdef uint64_t sleeps                   # for both loops
    # From here until give_back the outer loop does not watch us: we watch it. False: it has to sleep for us.
    cdef bint take_over(self) except -1
    cdef int give_back(self) except -1
    # Until the outer loop's turn; 0: now, -1: it wants none.
    cdef int wait_ms(self, int64_t now) noexcept
    # busy: events were fetched that wait for us.
    cdef bint is_outers_turn(self, int64_t now, bint busy) noexcept
    cdef int leave(self) except -1         # the outer loop calls us no more; idempotent

cdef enum:
    # What its events carry in our epoll set: for no source of ours, for no slot can be so high.
    OUTER = 0xFFFFFFFE
