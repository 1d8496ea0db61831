"""The times and the tries of one exchange, where its plan says anything of them."""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.exchange.edits cimport Edits
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.plan cimport Plan
from linkerd2_py._ext.exchange.retry cimport Conditions, Retry
from linkerd2_py._ext.io.actor cimport Actor, Timer
from linkerd2_py._ext.io.loop cimport Loop

# What is over first
cdef enum Expiry:
    EXPIRY_NONE            # nothing
    EXPIRY_PAUSE           # the pause before another try
    EXPIRY_REQUEST
    EXPIRY_HEAD
    EXPIRY_RESPONSE
    EXPIRY_TRY
    EXPIRY_IDLE

@final
cdef class Course(Actor):
    """Of one exchange at a time. Recycled through take_course() and drop_course(), with its timer: exchanges
    are many and what they are timed by is mostly far away, so that a timer which goes off too early for one
    of many costs less than one that is set and taken back for each."""
    cdef Timer timer               # owned; what it calls may be over, or not be due yet
    # Owned; the exchange, which hears of the timer; None: it is over
    cdef Actor exchange
    # Owned; None: neither its plan nor itself asks for retries.
    cdef Retry retry
    # Borrowed of `retry`, or `own`, where the exchange says something of itself
    cdef const Conditions* conditions
    cdef Conditions own
    cdef int64_t request_ns, head_ns, response_ns, idle_ns, try_ns      # 0: no limit
    # Nothing is over sooner than so long after the head; 0: perhaps
    cdef int64_t soonest_ns
    cdef int left                  # tries after this one
    cdef int tries                 # before this one
    # Loop ns
    cdef int64_t started
    cdef int64_t begun             # this try
    cdef int64_t flushed           # its request has been sent; 0: not yet
    cdef int64_t touched           # a piece of a message came
    cdef int64_t resume            # it pauses until then; 0: it does not
    cdef int64_t pause_ns          # the next one
    # Owned copy: a head whose trailers will say whether it is the client's; None: none is
    cdef Head held
    # Owned: what the way of the last try changed of the request's fields, of which there were so many before;
    # None: nothing
    cdef Edits edits
    cdef int edited_from

    # What is over by `now`, or first; and when: 0 where nothing will be. `answered`: a response head came.
    cdef Expiry over(self, int64_t now, bint answered) noexcept
    cdef inline int64_t next(self, bint answered) noexcept:
        cdef Expiry which = EXPIRY_NONE
        return self.first(answered, &which)

    cdef int64_t first(self, bint answered, Expiry* which) noexcept        # private
    cdef bint is_timed(self) noexcept                              # private
    # Something is over so long after the request was sent.
    cdef inline bint is_timed_from_here(self) noexcept:
        return self.response_ns != 0 or self.try_ns != 0

    # The timer goes off in time for whatever is over first after the head, for it was set for others.
    cdef inline bint is_set_already(self) noexcept:
        return self.timer.armed and self.timer.deadline <= self.started + self.soonest_ns

    # Another try begins after so many ns.
    cdef int64_t pause(self) noexcept
    cdef int begin_try(self, int64_t now) noexcept
    cdef int drop_held(self) except -1                             # idempotent
    cdef int own_conditions(self) noexcept                         # which may be changed then
    # Who waited how long for what, as a client is told.
    cdef bytes text(self, Expiry expiry)

# None where neither the plan nor the request asks for anything. Takes what is for us out of the head. The
# exchange is the caller's to set; it is timed by `loop`.
cdef Course take_course(Plan plan, Head head, Loop loop)
cdef int drop_course(Course course, Loop loop) except -1
