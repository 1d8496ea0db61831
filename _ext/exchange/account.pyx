# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One test of a plan decides how much there is to tell."""

from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from linkerd2_py._ext.balance.accrual cimport VERDICT_FAILURE, VERDICT_NOTHING, Verdict
from linkerd2_py._ext.exchange.backend cimport Waiter
from linkerd2_py._ext.exchange.course cimport EXPIRY_IDLE, EXPIRY_REQUEST, EXPIRY_RESPONSE
from linkerd2_py._ext.exchange.error_response cimport grpc_status_of
from linkerd2_py._ext.exchange.head cimport H_GRPC_STATUS, Field, Head
from linkerd2_py._ext.exchange.observe cimport (
    End, Seeker, tell_end, tell_request, tell_response, tell_trailers,
)
from linkerd2_py._ext.exchange.plan cimport Plan, ResponseClasses
from linkerd2_py._ext.exchange.verdict cimport hold_asked, verdict_of_answer, weight_of_answer
from linkerd2_py._ext.metrics.http cimport (
    CLASS_FAILURE, ERROR_CANCELLED, ERROR_NONE, ERROR_NO_ROUTE, ERROR_TIMEOUT, ERROR_UNEXPECTED,
    NO_GRPC_STATUS, Classification, classify,
)
from linkerd2_py._ext.metrics.routes cimport TIMEOUT_HEADERS, TIMEOUT_IDLE, TIMEOUT_REQUEST, TIMEOUT_RESPONSE

# Of exchanges about which nothing was decided, and which somebody sees.
cdef Plan SEEN = Plan()


cdef class Account(Waiter):

    # ---- who looks on

    cdef int show(self) except -1:
        """Asks, once, who wants to see it whatever its plan is. Who does is told of the rest behind the test
        for a plan, which then there is."""
        cdef Seeker seeker = self.router.seeker
        if self.sought or self.request is None:
            return 0
        self.sought = True
        try:
            self.onlookers = seeker.seek(self, self.request)
        except Exception as error:
            return self.router.loop.blame(error, seeker)
        if self.onlookers is None:
            return 0
        if self.plan is None:
            self.plan = SEEN
        return tell_request(self.onlookers, self.router.loop, self, self.request)

    cdef int show_response(self, Head head) except -1:
        if self.plan.watched:
            tell_response(self.plan.observers, self.router.loop, self, head)
        if self.onlookers is not None:
            tell_response(self.onlookers, self.router.loop, self, head)
        return 0

    cdef int show_trailers(self, Head trailers) except -1:
        if self.plan.watched:
            tell_trailers(self.plan.observers, self.router.loop, self, trailers)
        if self.onlookers is not None:
            tell_trailers(self.onlookers, self.router.loop, self, trailers)
        return 0

    cdef int show_end(self, End why) except -1:
        if self.plan.watched:
            tell_end(self.plan.observers, self.router.loop, self, why)
        if self.onlookers is not None:
            tell_end(self.onlookers, self.router.loop, self, why)
            self.onlookers = None
        return 0

    # ---- what is counted

    cdef int count_request(self) except -1:
        self.metrics = self.router.metrics_for(self.logical, self.backend, self.request, self.passage)
        if self.metrics is not None:
            self.metrics.request(self.router.loop.now)
        return 0

    cdef int record(self) except -1:
        """response_total and response_latency_ms. A cancelled response counts as if it had ended without
        trailers (linkerd2-proxy); one that broke is a failure."""
        cdef int64_t now = self.router.loop.now
        cdef int64_t latency = now - self.started if self.latency < 0 else self.latency
        cdef Classification found
        if self.metrics is None or self.status == 0:
            return 0
        if self.error == ERROR_NONE:
            found = classify(self.status, self.grpc_status, self.translation.is_grpc)
            self.metrics.response(self.status, found, self.grpc_status, latency, now)
            return 0
        self.metrics.failed(
            self.status, self.class_of_error(), self.grpc_status, self.error, latency, now,
        )
        return 0

    cdef int record_try(self, bint ours, bint is_last) except -1:
        """The same of one try, and what it is to its way and to what was sent for a route; of the last also
        what all came to. `ours`: the proxy made the response."""
        cdef int64_t now = self.router.loop.now
        cdef int64_t began = self.try_began()
        cdef int64_t latency = now - began if self.latency < 0 else self.latency
        cdef Classification found
        cdef int grpc_status
        if self.status:
            found = self.class_in_route(&grpc_status)
            if self.metrics is not None:
                self.metrics.failed(self.status, found, grpc_status, self.error, latency, now)
            if self.plan.actual is not None:
                self.plan.actual.failed(self.status, found, grpc_status, self.error, latency, now)
            if is_last and self.plan.metrics is not None:
                latency += began - self.started
                self.plan.metrics.failed(self.status, found, grpc_status, self.error, latency, now)
        latency = now - max(began, self.flushed) if self.request_done else -1
        if self.way is not None and self.way.metrics is not None:
            if self.error == ERROR_NONE and not ours:
                self.way.metrics.answered(self.status, self.grpc_status, latency)
            else:
                self.tell(self.way.metrics, ours, latency)
        if is_last and self.plan.route is not None:
            if self.error == ERROR_NONE and not ours:
                self.plan.route.answered(self.status, self.grpc_status, now - self.started)
            else:
                self.tell(self.plan.route, ours, now - self.started)
        return 0

    cdef int tell(self, RouteMetrics metrics, bint ours, int64_t took_ns) except -1:
        """What is no whole answer of a server."""
        return metrics.ended(
            self.status, self.code_of_answer(ours), self.error,
            self.code_of_error(), ours, took_ns,
        )

    cdef int code_of_answer(self, bint ours) noexcept:
        if ours and self.grpc_status == NO_GRPC_STATUS:
            return grpc_status_of(self.status)
        return self.grpc_status

    cdef int64_t try_began(self) noexcept:
        return self.started if self.course is None else self.course.begun

    cdef uint32_t code_of_error(self) noexcept:
        """As the families of routes have it."""
        if self.error != ERROR_TIMEOUT:
            return self.reset_code
        if self.expiry == EXPIRY_REQUEST:
            return TIMEOUT_REQUEST
        if self.expiry == EXPIRY_RESPONSE:
            return TIMEOUT_RESPONSE
        return TIMEOUT_IDLE if self.expiry == EXPIRY_IDLE else TIMEOUT_HEADERS

    cdef Classification class_in_route(self, int* grpc_status) noexcept:
        """A profile may say what a status counts as: then that decides, and gRPC's status is not looked at
        (linkerd2-proxy)."""
        cdef ResponseClasses classes = self.plan.classes
        grpc_status[0] = self.grpc_status
        if self.error != ERROR_NONE:
            return self.class_of_error()
        if classes is None:
            return classify(self.status, self.grpc_status, self.translation.is_grpc)
        if classes.says(self.status):
            grpc_status[0] = NO_GRPC_STATUS
            return classes.of(self.status)
        return classify(self.status, self.grpc_status, False)

    cdef Classification class_of_error(self) noexcept:
        """A response that the proxy made, or that broke."""
        if self.error == ERROR_CANCELLED or self.error == ERROR_NO_ROUTE or self.error == ERROR_UNEXPECTED:
            return classify(self.status, self.grpc_status, False)
        return CLASS_FAILURE

    cdef int note_grpc_status(self, Head head) except -1:
        cdef Field* field = head.find(H_GRPC_STATUS)
        cdef int value = 0
        cdef uint32_t i
        if field == NULL or field.value_len == 0 or field.value_len > 3:
            return 0
        for i in range(field.value_len):
            if not (c"0" <= field.value[i] <= c"9"):
                return 0
            value = value * 10 + (field.value[i] - c"0")
        self.grpc_status = value
        return 0

    # ---- what the balancer learns: an answer, a failure, or how long was waited in vain

    cdef int first_byte(self) except -1:
        """The balancer learns from dispatch to first body frame (linkerd2-proxy's
        pending-until-first-data)."""
        cdef int64_t now
        if self.latency >= 0:
            return 0
        now = self.router.loop.now
        self.latency = now - self.try_began()
        if self.pending and not self.blame:
            self.pending = False
            self.backend.complete(now - self.dispatched, now)
        return self.unpend()

    cdef int unpend(self) except -1:
        if self.pending:
            self.pending = False
            self.backend.cancel()
        return 0

    cdef int note_failure(self, Head head) except -1:
        """An answer that says that the endpoint failed. How fast it came is no sample."""
        cdef timespec wall
        self.blame = weight_of_answer(self.status, self.grpc_status)
        if self.blame:
            clock_gettime(CLOCK_REALTIME, &wall)
            self.hold_ns = hold_asked(head, wall.tv_sec)
        return 0

    cdef int accuse(self, double weight) except -1:
        self.unpend()
        if self.unjudged:
            self.unjudged = False
            if self.backend.breaker is not None:
                self.inform(weight, self.over)
            if weight:
                self.backend.fail(weight, self.dispatched, self.hold_ns, self.router.loop.now)
        return 0

    cdef int judge(self) except -1:
        """At the end. An error of our own, or one that the client made, says nothing about the endpoint but
        how long it let wait."""
        cdef int64_t now = self.router.loop.now
        if not self.unjudged:
            return self.unpend()
        if self.error == ERROR_NONE:
            if self.blame:
                return self.accuse(self.blame)
            self.unpend()
            self.backend.succeed(self.dispatched, now)
        elif self.error == ERROR_CANCELLED and self.pending:
            self.pending = False
            self.backend.give_up(now - self.dispatched, now)
        if self.backend.breaker is not None:
            self.inform(0.0, True)
        self.unjudged = False
        return self.unpend()

    cdef int inform(self, double weight, bint is_end) except -1:
        """The endpoint's breaker, of a try that is at its end or not. An answer that its client did not hear
        out is one, too."""
        cdef Verdict verdict = VERDICT_FAILURE if weight else VERDICT_NOTHING
        cdef bint is_whole = is_end and (self.error == ERROR_NONE or self.error == ERROR_CANCELLED)
        if self.blame or (is_whole and self.status):
            verdict = verdict_of_answer(self.status, self.grpc_status)
        return self.backend.hear(verdict, self.dispatched, self.hold_ns, self.router.loop.now)
