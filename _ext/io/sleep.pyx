# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Whether to wait busily, and whose turn it is when two loops share one sleep."""

from linkerd2_py._ext.core.clock cimport MS
from linkerd2_py._ext.io.linux cimport EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN, epoll_ctl, epoll_event

cdef enum:
    SHORT_GAP_NS = 2 * SPIN_NS     # a sleep of which waiting busily would have saved at least half
    GAPS_WANTED = 8                # enough that a single burst of events starts nothing
    # After many misses a try is still made now and then, for the load may change.
    MOST_GAPS_WANTED = 4096
    OUTER_TURN_NS = 2000000        # while work does not end, the outer loop is looked after so often


cdef class BusyWait:
    def __cinit__(self):
        self.gaps_wanted = GAPS_WANTED

    cdef int woken(self, int64_t now) noexcept:
        if now - self.slept_at > SHORT_GAP_NS:
            self.short_gaps = 0
        else:
            self.short_gaps += 1
            self.pays = self.pays or self.short_gaps >= self.gaps_wanted
        return 0

    cdef bint hit(self) noexcept:
        self.hits += 1
        self.gaps_wanted = GAPS_WANTED
        return True

    cdef bint missed(self) noexcept:
        self.pays = False
        self.short_gaps = 0
        self.gaps_wanted = min(self.gaps_wanted * 2, <uint32_t> MOST_GAPS_WANTED)
        return False


cdef class SharedSleep:
    cdef bint take_over(self) except -1:
        cdef epoll_event event
        if self.outer.timeout_ms() == 0:
            return False
        # Its descriptor may not be in two circles at once, hence the order.
        self.outer.unwatch()
        event.events = EPOLLIN
        event.data.u64 = OUTER
        if epoll_ctl(self.epfd, EPOLL_CTL_ADD, self.outer.fd, &event) < 0:
            # Something else in the outer loop watches us: then it has to sleep for us.
            self.outer.watch()
            return False
        self.owning = True
        self.outer_due = False
        return True

    cdef int give_back(self) except -1:
        self.owning = False
        if self.outer is None:
            return 0
        epoll_ctl(self.epfd, EPOLL_CTL_DEL, self.outer.fd, NULL)
        return self.outer.watch()

    cdef int wait_ms(self, int64_t now) noexcept:
        cdef int wait_ms
        if self.outer_due or self.outer is None:
            return 0
        # Its own idea of the time is that of the moment when it called us.
        wait_ms = self.outer.timeout_ms()
        if wait_ms <= 0:
            return wait_ms
        return <int> max((self.entered_at - now) // MS + wait_ms + 1, <int64_t> 0)

    cdef bint is_outers_turn(self, int64_t now, bint busy) noexcept:
        # What wakes it is among the events that are fetched when these are done.
        return self.wait_ms(now) == 0 or (busy and now - self.entered_at >= OUTER_TURN_NS)

    cdef int leave(self) except -1:
        cdef OuterLoop outer = self.outer
        self.outer = None
        if outer is None:
            return 0
        if self.owning:
            self.owning = False
            epoll_ctl(self.epfd, EPOLL_CTL_DEL, outer.fd, NULL)
        return outer.close()
