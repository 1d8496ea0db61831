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
cdef tuple TEXTS = (
    b"", b"", b"request timeout", b"response header timeout", b"response timeout",
    b"response header timeout", b"idle timeout",
)


cdef class Course:

    def __cinit__(self):
        self.timer = Timer()

    cdef Expiry over(self, int64_t now, bint answered) noexcept:
        cdef Expiry which = EXPIRY_NONE
        cdef int64_t by = self.first(answered, &which)
        return which if by and by <= now else EXPIRY_NONE

    cdef int64_t next(self, bint answered) noexcept:
        cdef Expiry which = EXPIRY_NONE
        return self.first(answered, &which)

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


cdef Course take_course(Plan plan, Head head, int64_t now):
    cdef Course course
    if resting.count:
        course = <Course> shelf_take(&resting)
        if L5D_DEBUG:
            born(LIVE_TIMER)
    else:
        course = Course.__new__(Course)
    course.started = course.begun = course.touched = now
    course.flushed = course.resume = 0
    course.tries = 0
    take_timeouts(course, plan.timeouts)
    take_retry(course, plan.retry)
    if plan.heeds_headers and head.present >> H_L5D_OTHER & 1:
        override(course, head)
    if course.retry is None and not course.is_timed():
        drop_course(course)
        return None
    return course


cdef int take_timeouts(Course course, Timeouts timeouts) noexcept:
    if timeouts is None:
        course.request_ns = course.head_ns = course.response_ns = course.idle_ns = 0
        return 0
    course.request_ns = timeouts.request_ns
    course.head_ns = timeouts.head_ns
    course.response_ns = timeouts.response_ns
    course.idle_ns = timeouts.idle_ns
    return 0


cdef int take_retry(Course course, Retry retry) noexcept:
    course.retry = retry
    if retry is None:
        course.left = 0
        course.try_ns = 0
        memset(&course.conditions, 0, sizeof(Conditions))
        return 0
    course.left = retry.limit
    course.try_ns = retry.timeout_ns
    course.pause_ns = retry.pause_ns
    course.conditions = retry.conditions
    return 0


cdef int drop_course(Course course) except -1:
    course.drop_held()
    course.retry = None
    course.edits = None
    if shelf_keep(&resting, course, MAX_RESTING) and L5D_DEBUG:
        gone(LIVE_TIMER)
    return 0
