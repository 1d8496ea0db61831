# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Whatever is over first decides; the rest is counting."""

from libc.string cimport memset

from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_TIMER, born, gone
from linkerd2_py._ext.core.random cimport random_below
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take
from linkerd2_py._ext.exchange.head cimport H_L5D_OTHER, drop_head
from linkerd2_py._ext.exchange.overrides cimport override
from linkerd2_py._ext.exchange.timeouts cimport Timeouts

cdef enum:
    MAX_RESTING = 256         # as exchanges

cdef Shelf resting
# The loop of those: a process has one, and tests one after the other.
cdef Loop at_rest_in = None
cdef Conditions NO_ANSWERS
memset(&NO_ANSWERS, 0, sizeof(NO_ANSWERS))
cdef tuple TEXTS = (
    b"", b"", b"request timeout", b"response header timeout", b"response timeout",
    b"response header timeout", b"idle timeout",
)


cdef class Course:

    def __cinit__(self):
        self.timer = Timer()

    cdef int on_timer(self, Timer timer) except -1:
        # It may end by this, and lets go of the exchange then.
        cdef Actor exchange = self.exchange
        return 0 if exchange is None else exchange.on_timer(timer)

    cdef int on_broken(self) except -1:
        cdef Actor exchange = self.exchange
        return 0 if exchange is None else exchange.on_broken()

    cdef Expiry over(self, int64_t now, bint answered) noexcept:
        cdef Expiry which = EXPIRY_NONE
        cdef int64_t by = self.first(answered, &which)
        return which if by and by <= now else EXPIRY_NONE

    cdef int64_t first(self, bint answered, Expiry* which) noexcept:
        cdef int64_t by = 0
        if self.request_ns:
            by = sooner(by, self.started + self.request_ns, which, EXPIRY_REQUEST)
        if self.head_ns and not answered:
            by = sooner(by, self.started + self.head_ns, which, EXPIRY_HEAD)
        if self.resume:
            return sooner(by, self.resume, which, EXPIRY_PAUSE)
        if self.flushed and self.response_ns:
            by = sooner(by, self.flushed + self.response_ns, which, EXPIRY_RESPONSE)
        if self.flushed and self.try_ns and self.left and not answered:
            # The last try may take what is left.
            by = sooner(by, self.flushed + self.try_ns, which, EXPIRY_TRY)
        if self.idle_ns:
            by = sooner(by, self.touched + self.idle_ns, which, EXPIRY_IDLE)
        return by

    cdef bint is_timed(self) noexcept:
        return self.request_ns or self.head_ns or self.response_ns or self.idle_ns

    cdef int64_t pause(self) noexcept:
        cdef int64_t pause = self.pause_ns
        if pause == 0:
            return 0
        self.pause_ns = min(pause * 2, self.retry.longest_pause_ns)
        return pause + <int64_t> (pause * self.retry.jitter * random_below(1 << 20) / (1 << 20))

    cdef int begin_try(self, int64_t now) noexcept:
        self.begun = self.touched = now
        self.flushed = self.resume = 0
        self.tries += 1
        self.left -= 1
        return 0

    cdef int own_conditions(self) noexcept:
        if self.conditions != &self.own:
            self.own = self.conditions[0]
            self.conditions = &self.own
        return 0

    cdef int drop_held(self) except -1:
        if self.held is not None:
            drop_head(self.held)
            self.held = None
        return 0

    cdef bytes text(self, Expiry expiry):
        cdef int64_t limit = self.request_ns
        if expiry == EXPIRY_HEAD:
            limit = self.head_ns
        elif expiry == EXPIRY_RESPONSE:
            limit = self.response_ns
        elif expiry == EXPIRY_TRY:
            limit = self.try_ns
        elif expiry == EXPIRY_IDLE:
            limit = self.idle_ns
        tried = b", tried %d times" % (self.tries + 1) if self.tries else b""
        return b"%s: %g s%s" % (TEXTS[<int> expiry], limit / 1e9, tried)


cdef inline int64_t sooner(int64_t by, int64_t other, Expiry* which, Expiry then) noexcept:
    if by and by <= other:
        return by
    which[0] = then
    return other


cdef Course take_course(Plan plan, Head head, Loop loop):
    cdef Course course
    if resting.count and loop is at_rest_in:
        course = <Course> shelf_take(&resting)
        if L5D_DEBUG:
            born(LIVE_TIMER)
    else:
        course = Course.__new__(Course)
    course.started = course.begun = course.touched = loop.now
    course.flushed = course.resume = 0
    course.tries = 0
    take_timeouts(course, plan.timeouts)
    take_retry(course, plan.retry)
    if plan.heeds_headers and head.present >> H_L5D_OTHER & 1:
        override(course, head)
        course.soonest_ns = 0
    if course.retry is None and not course.is_timed():
        drop_course(course, loop)
        return None
    return course


cdef int take_timeouts(Course course, Timeouts timeouts) noexcept:
    if timeouts is None:
        course.request_ns = course.head_ns = course.response_ns = course.idle_ns = course.soonest_ns = 0
        return 0
    course.request_ns = timeouts.request_ns
    course.head_ns = timeouts.head_ns
    course.response_ns = timeouts.response_ns
    course.idle_ns = timeouts.idle_ns
    course.soonest_ns = timeouts.soonest_ns
    return 0


cdef int take_retry(Course course, Retry retry) noexcept:
    course.retry = retry
    if retry is None:
        course.left = 0
        course.try_ns = 0
        course.conditions = &NO_ANSWERS
        return 0
    course.left = retry.limit
    course.try_ns = retry.timeout_ns
    course.pause_ns = retry.pause_ns
    course.conditions = &retry.conditions
    return 0


cdef int drop_course(Course course, Loop loop) except -1:
    """Its timer stays as it is: nobody hears of it, unless another exchange is timed by it then."""
    course.exchange = None
    if course.held is not None:
        course.drop_held()
    course.retry = None
    # They may go with it.
    course.conditions = &NO_ANSWERS
    if course.edits is not None:
        course.edits = None
    if loop is not at_rest_in:
        change_loop(loop)
    if not shelf_keep(&resting, course, MAX_RESTING):
        return loop.disarm(course.timer)
    if L5D_DEBUG:
        gone(LIVE_TIMER)
    return 0


cdef int change_loop(Loop loop) except -1:
    """Those of another loop are of no use to this one: their timers are the other's."""
    global at_rest_in
    while resting.count:
        shelf_take(&resting)
        if L5D_DEBUG:
            born(LIVE_TIMER)
    at_rest_in = loop
    return 0
