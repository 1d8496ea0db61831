# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The path of a request: head in, backend chosen, head out, bodies both ways, one record at the end.

Read it from on_request_head down.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_EXCHANGE, born, check, gone
from linkerd2_py._ext.core.fault cimport (
    FAULT_EOF, FAULT_LOCAL, FAULT_PROTOCOL, FAULT_RESET, FAULT_TIMEOUT, FaultKind, is_ours,
)
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take
from linkerd2_py._ext.exchange.backend cimport UNAVAILABLE_FAILFAST, Backend, Logical, Router, Unavailable
from linkerd2_py._ext.exchange.course cimport (
    EXPIRY_HEAD, EXPIRY_NONE, EXPIRY_PAUSE, EXPIRY_REQUEST, EXPIRY_TRY, Course, Expiry, drop_course,
    take_course,
)
from linkerd2_py._ext.exchange.edits cimport undo
from linkerd2_py._ext.exchange.error_response cimport (
    ErrorResponse, code_of, early_body_too_large, error_of_break, identity_not_met, request_refused,
    response_to_denial, response_to_fault, response_to_refusal, response_to_timeout, response_to_unavailable,
    send_error_response, send_error_trailers,
)
from linkerd2_py._ext.exchange.gate cimport Denial
from linkerd2_py._ext.exchange.head cimport (
    FIELD_OF_WAY, FORM_ABSOLUTE, H_L5D_REQUIRE_ID, METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS,
    METHOD_PUT, METHOD_TRACE, Field, Head, Method, drop_head,
)
from linkerd2_py._ext.exchange.kept cimport KEPT_BYTES, Kept, copied, may_be_kept
from linkerd2_py._ext.exchange.observe cimport (
    END_ANSWERED, END_BROKEN, END_CANCELLED, END_FAILED, END_TUNNELLED, End, tell_request,
)
from linkerd2_py._ext.exchange.plan cimport Plan, Refusal
from linkerd2_py._ext.exchange.retry cimport Conditions, Retry, holds
from linkerd2_py._ext.exchange.seats cimport Seating
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.exchange.translation cimport (
    RESET_CANCEL, RESET_INTERNAL_ERROR, RESET_NO_ERROR, RESET_REFUSED_STREAM, can_explain, fit_interim,
    fit_request, fit_response, may_come_back, may_tell_refusal, note_request, opens_tunnel, send_connected,
    shows_http1, stays_reset, to_origin_form, wants_of,
)
from linkerd2_py._ext.exchange.ways cimport Split, Way
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.transport cimport SEND_FULL, Transport
from linkerd2_py._ext.metrics.http cimport (
    ERROR_CANCELLED, ERROR_FAILFAST, ERROR_LOAD_SHED, ERROR_NONE, ERROR_RESET, ERROR_UNEXPECTED,
    NO_GRPC_STATUS,
)
from linkerd2_py._ext.metrics.routes cimport RetryMetrics, count
from linkerd2_py._ext.metrics.series cimport L5D_METRICS

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* ob) noexcept

cdef enum:
    MAX_ATTEMPTS = 4          # backends tried for one request: more would only add to an outage
    MAX_RESTING = 256         # recycled exchanges kept: what a burst leaves behind at most
    # Body that may come before there is a client half: an HTTP/2 stream window, with room for larger ones.
    BACKLOG_BYTES = 1048576
    LEAST_FAILURE = 429       # no status below it is a failure of the endpoint

cdef Shelf resting
cdef int heard = 0


cdef bint is_idempotent(Method method) noexcept:
    return method in (METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PUT, METHOD_DELETE, METHOD_TRACE)


cdef inline void hears(Exchange exchange, int legal, const char* otherwise) noexcept:
    """At the top of whatever an exchange hears; `otherwise` says what is wrong in any other state."""
    if L5D_DEBUG:
        check(exchange.state() != ILLEGAL, b"an exchange was in a state that is not in its table")
        check(exchange.state() & legal, otherwise)
        hears_end(exchange)


cdef inline int hears_rest(Exchange exchange) noexcept:
    """What may be heard of a response after its head; a head may be held back until then."""
    if exchange.course is not None and exchange.course.held is not None:
        return ASKING | OVER
    return HEARS_RESPONSE_REST


cdef inline void hears_end(Exchange exchange) noexcept:
    """What may come at any time."""
    global heard
    if L5D_DEBUG:
        heard |= exchange.state() << 8 if exchange.request_done else exchange.state()


cdef inline void hears_request(Exchange exchange, const char* otherwise) noexcept:
    """More of a request: only while it is open, unless nobody listens any more."""
    if L5D_DEBUG:
        hears(exchange, HEARS_REQUEST_REST, otherwise)
        check(exchange.over or not exchange.request_done, otherwise)


cdef int heard_states() noexcept:
    return heard


cdef Exchange take_exchange(Router router):
    """A recycled exchange that nobody refers to any more, or a new one."""
    cdef Exchange exchange
    if resting.count:
        exchange = <Exchange> shelf_take(&resting)
        # A codec may still hold it while it drains a message that was answered early: then it is not to be
        # reused.
        if Py_REFCNT(<PyObject*> exchange) == 1:
            exchange.begin(router)
            return exchange
    exchange = Exchange.__new__(Exchange)
    exchange.begin(router)
    return exchange


cdef class Exchange(Account):

    cdef int begin(self, Router router) except -1:
        self.router = router
        self.request_done = self.over = self.counted = self.pending = False
        self.server_held = self.client_held = False
        self.repeated = self.unjudged = self.sought = False
        self.fresh_since = 0
        self.blame = 0
        self.hold_ns = 0
        self.response = RESPONSE_NONE
        self.is_demanding = False
        self.attempts = 0
        self.status = 0
        self.response_bytes = 0
        self.flushed = 0
        self.latency = -1
        self.error = ERROR_NONE
        self.expiry = EXPIRY_NONE
        self.grpc_status = NO_GRPC_STATUS
        if L5D_DEBUG:
            born(LIVE_EXCHANGE)
        return 0

    cdef State state(self) noexcept:
        cdef bint is_free = self.client is None and self.logical is None
        if self.over:
            return OVER if is_free and self.response == RESPONSE_DONE else ILLEGAL
        if self.client is not None and self.response != RESPONSE_DONE:
            return ASKING if self.response == RESPONSE_NONE else ANSWERING
        if self.client is not None or self.response != RESPONSE_NONE:
            return ILLEGAL
        return FINDING if is_free else WAITING

    # ---- request: from the server half

    cdef int on_request_head(self, Stream half, Head head) except -1:
        hears(self, HEARS_REQUEST_HEAD, b"a request head came to an exchange that is under way")
        self.server = half
        self.request = head
        self.started = self.router.loop.now
        self.request_done = head.end
        self.idempotent = is_idempotent(head.method_id)
        note_request(&self.translation, half, head, self.router.accept_orig_proto)
        if self.router.outbound and head.present >> H_L5D_REQUIRE_ID & 1:
            self.take_requirement(head)
        self.route(head)
        if self.client is None and not self.over and not self.request_done:
            self.hold_server()
        return 0

    cdef int route(self, Head head) except -1:
        """Finds the target and asks it for a backend."""
        self.logical = self.router.logical_for(self, head)
        if self.logical is None:
            return 0
        self.counted = True
        # Where it stands in a queue, nobody can say yet whether it is let in.
        return self.proceed(head) if self.queue is None else 0

    cdef int proceed(self, Head head) except -1:
        self.plan = self.router.plan_for(self.logical, head)
        if self.plan is not None:
            self.begin_plan(head)
        if self.router.is_forward_proxy():
            if self.translation.is_connect:
                # What comes through the tunnel is routed.
                return self.logical.await_profile(self)
            if head.form == FORM_ABSOLUTE:
                to_origin_form(head)
        return self.logical.choose(self) if self.plan is None else self.steer()

    cdef int follow(self, Head head) except -1:
        """It waited for its plan; there may be none."""
        self.plan = self.router.plan_for(self.logical, head)
        if self.plan is None:
            return self.logical.choose(self)
        self.begin_plan(head)
        return self.steer()

    cdef int begin_plan(self, Head head) except -1:
        if L5D_METRICS and self.plan.metrics is not None:
            self.plan.metrics.request(self.router.loop.now)
            if self.plan.actual is not None:
                self.plan.actual.request(self.router.loop.now)
        if self.plan.watched:
            tell_request(self.plan.observers, self.router.loop, self, head)
        if self.plan.paces:
            self.course = take_course(self.plan, head, self.router.loop)
            if self.course is not None:
                self.course.exchange = self
                if not self.course.is_set_already():
                    self.watch_time()
        return 0

    cdef int steer(self) except -1:
        """Where its plan says."""
        if not self.plan.steers:
            return self.logical.choose(self)
        if self.plan.pending:
            self.plan = None
            return self.logical.await_profile(self)
        if self.plan.request_edits is not None:
            self.plan.request_edits.apply(self.request, 0)
        return self.set_out() if self.plan.refusal is not None or self.plan.ways is None else self.take_way()

    cdef int set_out(self) except -1:
        """Each try begins here."""
        if self.plan.refusal is not None and self.refused(self.plan.refusal):
            return 0
        return self.logical.choose(self) if self.plan.ways is None else self.take_way()

    cdef int take_way(self) except -1:
        cdef Way way = (<Split> self.plan.ways).only
        if way is None:
            way = (<Split> self.plan.ways).pick()
        self.way = way
        if L5D_METRICS and way.metrics is not None:
            way.metrics.requests.count += 1
        if way.refusal is not None and self.refused(way.refusal):
            return 0
        if self.course is None:
            if way.request_edits is not None:
                way.request_edits.apply(self.request, 0)
        elif self.course.edits is not way.request_edits:
            self.edit_for(way)
        if way.logical is not None:
            self.home = self.logical
            self.logical = way.logical
            self.router.enter(way.logical)
        return self.logical.choose(self)

    cdef int edit_for(self, Way way) except -1:
        """The request may have been another way's before, with other edits."""
        cdef Course course = self.course
        if course.edits is not None:
            undo(self.request, course.edited_from)
        course.edits = way.request_edits
        course.edited_from = self.request.count
        return 0 if course.edits is None else course.edits.apply(self.request, FIELD_OF_WAY)

    cdef int leave_way(self) except -1:
        cdef Logical way = self.logical
        if self.client is None:
            way.withdraw(self)
            if self.backend is not None:
                self.backend.withdraw(self)
        self.logical = self.home
        self.home = None
        return self.router.leave_way(way)

    cdef bint refused(self, Refusal refusal) except -1:
        cdef ErrorResponse answer = response_to_refusal(refusal, self.request)
        if answer.status == 0:
            return False
        self.fail(answer)
        return True

    cdef int take_requirement(self, Head head) except -1:
        """The application names who must answer (l5d-require-id); the header is for us alone. An empty one
        is met by nobody."""
        cdef Field* field = head.find(H_L5D_REQUIRE_ID)
        if field != NULL:
            self.required.ptr = field.value
            self.required.len = field.value_len
            self.is_demanding = True
            head.drop(H_L5D_REQUIRE_ID)
        return 0

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        hears_request(self, b"a request went on that was done, or that nobody had begun")
        if self.over:
            return 0
        if self.client is None:
            return self.keep_body(p, n, end)
        if self.request is not None:
            self.keep_sent(p, n, end)
        if end:
            self.request_done = True
            self.note_flushed()
        elif self.course is not None:
            self.course.touched = self.router.loop.now
        if self.client.send_body(p, n, end) == SEND_FULL and not end:
            self.hold_server()
        return 0

    cdef int on_request_trailers(self, Head trailers) except -1:
        hears_request(self, b"a request ended that was done, or that nobody had begun")
        if self.over:
            return 0
        self.request_done = True
        if self.client is None:
            return self.keeper().put_trailers(trailers)
        self.note_flushed()
        if self.request is not None and self.may_keep(0):
            self.keeper().put_trailers(trailers)
        else:
            self.stop_keeping()
        self.client.send_trailers(trailers)
        return 0

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        """The client is gone or broke its message: the endpoint learns at once."""
        hears_end(self)
        if self.over:
            return 0
        self.reset_code = code if code else RESET_CANCEL
        if self.client is not None:
            self.client.reset(kind, self.reset_code)
        elif self.router.seeker.wanting:
            self.show()
        self.error = ERROR_CANCELLED
        return self.finish(END_CANCELLED)

    cdef int on_request_room(self) except -1:
        hears(self, HEARS_ROOM, b"there was room for a request in no state")
        if self.over:
            return 0
        if self.has_much():
            if not self.client.is_proven():
                self.client.awaits_proof = True
                return 0
            self.stop_keeping()
        if self.server_held:
            self.server_held = False
            self.server.unhold()
        return 0

    # ---- body that came before there was anyone to take it, or that may have to be sent again

    cdef int keep_body(self, const char* p, size_t n, bint end) except -1:
        if self.kept_size() + n > BACKLOG_BYTES:
            return self.fail(early_body_too_large())
        self.keeper().put(p, n, end)
        if end:
            self.request_done = True
        return 0

    cdef int keep_sent(self, const char* p, size_t n, bint end) except -1:
        """A copy of what is sent, until the response begins: what the endpoint did not process may be sent
        elsewhere. Large bodies are not kept, but for those of a peer that may turn out to speak another
        protocol: there the client is held until that is known."""
        if not self.may_keep(n):
            return self.stop_keeping()
        self.keeper().put_sent(p, n, end)
        if not end and self.has_much() and not self.client.is_proven():
            self.client.awaits_proof = True
            self.hold_server()
        return 0

    cdef Kept keeper(self):
        if self.kept is None:
            self.kept = Kept.__new__(Kept)
        return self.kept

    cdef size_t kept_size(self) noexcept:
        return 0 if self.kept is None else self.kept.body.size

    cdef bint may_keep(self, size_t n) noexcept:
        """Only where a request can come back, and before the response begins."""
        if self.response != RESPONSE_NONE or not may_be_kept(n):
            return False
        if self.course is not None and self.course.left > 0:
            return n + self.kept_size() <= self.course.retry.most_bytes
        if not may_come_back(self.client):
            return False
        return not self.client.is_proven() or n + self.kept_size() <= KEPT_BYTES

    cdef bint has_much(self) noexcept:
        """More is kept of what was sent than is worth it once the peer has shown what it speaks."""
        return self.client is not None and self.kept_size() > KEPT_BYTES

    cdef int stop_keeping(self) except -1:
        """The request will not be sent again."""
        if self.kept is not None:
            self.kept.clear()
        return self.release_request()

    cdef int send_kept(self) except -1:
        """Forwards what had to wait; it goes on being kept while it may have to be sent again."""
        cdef int outcome = self.kept.send(self.client)
        if not self.may_keep(0):
            self.stop_keeping()
        return outcome

    # ---- dispatch: from the target and the backend

    cdef int on_profile(self, bint opaque) except -1:
        """CONNECT to us: opaque targets are connected before the answer, others are detected inside the
        tunnel. Other requests waited for their plan."""
        hears(self, HEARS_DISPATCH, b"a profile was told to an exchange that did not wait")
        if self.over:
            return 0
        if not (self.translation.is_connect and self.router.is_forward_proxy()):
            return self.follow(self.request)
        if opaque:
            return self.logical.choose(self)
        return self.accept_connect(None)

    cdef int on_examined(self) except -1:
        """It is as it was before it had a target: who is refused now counts as one who was refused then."""
        cdef Logical logical = self.logical
        cdef Router router = self.router
        hears(self, HEARS_DISPATCH, b"an exchange was examined that did not wait")
        if self.over:
            return 0
        self.logical = None
        self.counted = False
        if not router.let_in_later(self, self.request):
            return router.ended(logical)
        self.logical = logical
        self.counted = True
        return self.proceed(self.request) if self.queue is None else 0

    cdef int on_let_in(self) except -1:
        """Whoever was asked lets it go on."""
        hears(self, HEARS_DISPATCH, b"an exchange was let in that did not wait")
        return 0 if self.over else self.proceed(self.request)

    cdef int on_denied(self, Denial denial) except -1:
        """Whoever was asked does not let it in: it counts as one who was refused at once."""
        cdef Logical logical = self.logical
        cdef Router router = self.router
        hears(self, HEARS_UNAVAILABLE, b"an exchange was denied that did not wait")
        if self.over:
            return 0
        self.logical = None
        self.counted = False
        self.fail(response_to_denial(denial))
        return router.ended(logical)

    cdef bint may_probe(self) noexcept:
        # Who names who must answer may find that it is not that one.
        return not self.is_demanding

    cdef int on_backend(self, Backend backend) except -1:
        cdef bint by_connect
        hears(self, HEARS_DISPATCH, b"a backend was given to an exchange that did not wait")
        if self.over:
            return 0
        self.backend = backend
        if self.is_demanding and not backend.proves(self.required):
            return self.fail(identity_not_met())
        self.attempts += 1
        self.dispatched = self.router.loop.now
        backend.begin()
        self.pending = self.unjudged = True
        by_connect = self.translation.is_connect and self.router.is_forward_proxy()
        return backend.serve(self, wants_of(&self.translation, self.request, backend, by_connect))

    cdef int on_stream(self, Stream half) except -1:
        """The backend gave a client half: the request goes out."""
        cdef Head head = self.request
        cdef int outcome
        hears(self, HEARS_DISPATCH, b"a stream was given to an exchange that did not wait")
        if self.over:
            half.reset(FAULT_LOCAL, RESET_CANCEL)
            return 0
        self.client = half
        if self.router.seeker.wanting:
            self.show()
        fit_request(&self.translation, head, half)
        if L5D_METRICS and self.metrics is None:
            self.count_request()
        self.router.stamp(self.logical, self.backend, head)
        outcome = half.send_head(head)
        if self.kept is not None and self.kept.has_any():
            outcome = self.send_kept()
        if self.request_done and self.course is not None:
            self.note_flushed()
        if outcome == SEND_FULL:
            if not self.request_done:
                self.hold_server()
        else:
            self.on_request_room()
        return 0

    cdef int on_transport(self, Transport transport) except -1:
        hears(self, HEARS_DISPATCH, b"a transport was given to an exchange that did not wait")
        if self.over:
            transport.abort()
            return 0
        return self.accept_connect(transport)

    cdef int accept_connect(self, Transport server_side) except -1:
        """Answers CONNECT with 200 and gives the connection away; the exchange ends here."""
        cdef Transport client_side
        cdef Router router = self.router
        cdef Logical logical = self.logical
        cdef Seating seats = self.seats
        if router.seeker.wanting:
            self.show()
        send_connected(self.server)
        client_side = self.server.into_tunnel()
        self.status = 200
        self.response = RESPONSE_DONE
        self.first_byte()
        self.finish(END_TUNNELLED)
        if server_side is None:
            return router.take_over(client_side, logical)
        return router.tunnel(client_side, server_side, seats)

    cdef int on_unavailable(self, Unavailable why, int status, bytes text) except -1:
        hears(self, HEARS_UNAVAILABLE, b"an exchange that did not wait was told that nobody is there")
        if self.over:
            return 0
        if self.backend is not None:
            # It waited for that one, in vain.
            self.accuse(1.0 if why == UNAVAILABLE_FAILFAST else 0.0)
        return self.fail(response_to_unavailable(why, status, text))

    cdef int on_backend_failed(self, FaultKind kind, int code) except -1:
        """No connection could be had and nothing was written: another backend may serve, or this one
        otherwise."""
        # Of other faults the code is an errno.
        cdef bint blameless = kind == FAULT_PROTOCOL and shows_http1(code)
        hears(self, HEARS_DISPATCH, b"a backend failed an exchange that did not wait")
        if self.over:
            return 0
        self.accuse(0.0 if blameless or is_ours(kind) else 1.0)
        if self.attempts < MAX_ATTEMPTS and (blameless or kind == FAULT_LOCAL or not self.backend.alone):
            # Where there is only one endpoint, that one again: back in service, or in another protocol.
            self.backend = None
            return self.logical.choose(self)
        return self.fail(response_to_fault(kind))

    # ---- response: from the client half

    cdef int on_interim_head(self, Head head) except -1:
        hears(self, HEARS_RESPONSE_HEAD, b"an interim response came to no request, or after the final one")
        if self.over:
            return 0
        fit_interim(head, self.router.outbound)
        self.server.send_interim(head)
        return 0

    cdef int on_response_head(self, Head head) except -1:
        hears(self, HEARS_RESPONSE_HEAD, b"a response came to no request, or a second one")
        if self.over:
            return 0
        self.status = head.status
        self.note_grpc_status(head)
        if head.status >= LEAST_FAILURE or self.grpc_status > 0:
            self.note_failure(head)
        if self.course is not None and self.is_put_off(head):
            return 0
        return self.pass_response(head)

    cdef int pass_response(self, Head head) except -1:
        """It is the client's."""
        self.stop_keeping()
        self.response = RESPONSE_HEAD
        fit_response(&self.translation, head, self.backend, self.router.outbound)
        if self.plan is not None:
            if self.way is not None and self.way.response_edits is not None:
                self.way.response_edits.apply(head, 0)
            if self.plan.response_edits is not None:
                self.plan.response_edits.apply(head, 0)
            if self.plan.watched or self.onlookers is not None:
                self.show_response(head)
        if opens_tunnel(&self.translation, head.status):
            return self.open_tunnel(head)
        if head.end:
            self.response = RESPONSE_DONE
            self.first_byte()
            self.server.send_head(head)
            return self.response_ended()
        if self.server.send_head(head) == SEND_FULL:
            self.hold_client()
        return 0

    cdef int open_tunnel(self, Head head) except -1:
        cdef Transport client_side, server_side
        cdef Router router = self.router
        cdef Seating seats = self.seats
        self.response = RESPONSE_DONE
        self.first_byte()
        self.server.send_head(head)
        client_side = self.server.into_tunnel()
        server_side = self.client.into_tunnel()
        self.finish(END_TUNNELLED)
        return router.tunnel(client_side, server_side, seats)

    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1:
        hears(self, hears_rest(self), b"a response body came without its head")
        if self.over:
            return 0
        if self.course is not None:
            self.course.touched = self.router.loop.now
            if self.course.held is not None:
                self.settle()
                self.let_pass()
        self.first_byte()
        self.response_bytes += n
        if end:
            self.response = RESPONSE_DONE
        if self.server.send_body(p, n, end) == SEND_FULL and not end:
            self.hold_client()
        return self.response_ended() if end else 0

    cdef int on_response_trailers(self, Head trailers) except -1:
        hears(self, hears_rest(self), b"response trailers came without a head")
        if self.over:
            return 0
        self.note_grpc_status(trailers)
        if self.grpc_status > 0:
            self.note_failure(trailers)
        if self.course is not None and self.course.held is not None:
            if not holds(self.course.conditions, 0, self.grpc_status):
                self.settle()
            elif self.may_try_again():
                self.client = None
                return self.try_again(False)
            self.let_pass()
        if self.plan is not None:
            self.show_trailers(trailers)
        self.first_byte()
        self.response = RESPONSE_DONE
        self.server.send_trailers(trailers)
        return self.response_ended()

    cdef int response_ended(self) except -1:
        """The client has its whole answer. What is left of the request no longer matters to the endpoint."""
        if not self.request_done and self.client is not None:
            self.client.reset(FAULT_LOCAL, RESET_NO_ERROR)
        return self.finish(END_ANSWERED)

    cdef int on_response_room(self) except -1:
        hears(self, HEARS_ROOM, b"there was room for a response in no state")
        if self.client_held and not self.over:
            self.client_held = False
            self.client.unhold()
        return 0

    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1:
        cdef bint repeatable
        hears_end(self)
        if self.over:
            return 0
        if self.course is not None and self.course.held is not None:
            self.forget_head()
        refused = refused or shows_http1(code)
        repeatable = refused or self.may_repeat(kind, code)
        self.accuse(self.weight_of_reset(kind, code, repeatable))
        self.client = None
        if shows_http1(code):
            self.backend.http1_only = True
        if self.response != RESPONSE_NONE:
            return self.break_off(kind, code)
        if repeatable and self.request is not None and self.attempts < MAX_ATTEMPTS:
            return self.send_again(not refused)
        return self.fail_unanswered(kind, code)

    cdef int break_off(self, FaultKind kind, uint32_t code) except -1:
        """The endpoint is gone amid its response: a gRPC client learns why, others see it cut short."""
        self.error = error_of_break(kind, code)
        self.reset_code = code if code else RESET_INTERNAL_ERROR
        if can_explain(&self.translation, self.server, kind):
            self.grpc_status = send_error_trailers(self.server, response_to_fault(kind))
        else:
            self.server.reset(kind, self.reset_code)
        return self.finish(END_BROKEN)

    cdef double weight_of_reset(self, FaultKind kind, uint32_t code, bint repeatable) noexcept:
        """A pooled connection may end at any time; a server that speaks another protocol has not failed."""
        if is_ours(kind) or shows_http1(code):
            return 0.0
        if repeatable and code == RESET_NO_ERROR and self.client is not None and self.client.pooled:
            return 0.0
        return 0.5 if code == RESET_REFUSED_STREAM else 1.0

    cdef int send_again(self, bint fresh) except -1:
        """The client waits meanwhile: what it goes on sending would have to be kept."""
        self.repeated = self.repeated or fresh
        self.fresh_since = self.router.loop.now if fresh else 0
        self.backend = None
        # The response will be of another attempt, maybe another endpoint's: this one stays a request
        # without one.
        self.metrics = None
        if not self.request_done:
            self.hold_server()
        # Behind what else the endpoint has said: that it goes away, or how much it allows.
        return self.router.loop.defer(self)

    cdef int on_deferred(self) except -1:
        hears(self, HEARS_DISPATCH, b"an exchange was to be sent again that did not wait")
        if self.over:
            return 0
        if self.course is not None and self.course.resume:
            return self.begin_try()
        return self.logical.choose(self)

    cdef bint may_repeat(self, FaultKind kind, uint32_t code) noexcept:
        """A pooled connection that ended under a request: once more, if the method allows it (RFC 9110
        section 9.2.2) and what was sent is kept."""
        if self.repeated or self.client is None or not self.client.pooled or code or not self.idempotent:
            return False
        return kind == FAULT_RESET or kind == FAULT_EOF

    cdef int fail_unanswered(self, FaultKind kind, uint32_t code) except -1:
        if code == RESET_REFUSED_STREAM and not may_tell_refusal(&self.translation, self.server):
            return self.fail(request_refused())
        if stays_reset(&self.translation, self.server, kind, code):
            self.error = ERROR_RESET
            self.reset_code = code
            self.server.reset(kind, code)
            return self.finish(END_BROKEN)
        return self.fail(response_to_fault(kind))

    # ---- times, and other tries

    cdef int note_flushed(self) except -1:
        """The endpoint has the whole request: from now on its response is awaited."""
        self.flushed = self.router.loop.now
        if self.course is None:
            return 0
        self.course.flushed = self.course.touched = self.flushed
        return self.watch_time() if self.course.is_timed_from_here() else 0

    cdef int watch_time(self) except -1:
        """The timer runs until whatever is over first. What is put off meanwhile is noticed when it fires,
        and what another exchange has left it at."""
        cdef Timer timer = self.course.timer
        cdef int64_t by = self.course.next(self.response != RESPONSE_NONE or self.course.held is not None)
        if by == 0 or (timer.armed and timer.deadline <= by):
            return 0
        return self.router.loop.arm(timer, self.course, by - self.router.loop.now)

    cdef int on_timer(self, Timer timer) except -1:
        cdef Course course = self.course
        cdef bint answered
        cdef Expiry expiry
        hears_end(self)
        if self.over:
            return 0
        answered = self.response != RESPONSE_NONE or course.held is not None
        expiry = course.over(self.router.loop.now, answered)
        if expiry == EXPIRY_NONE:
            return self.watch_time()
        return self.begin_try() if expiry == EXPIRY_PAUSE else self.time_out(expiry)

    cdef int time_out(self, Expiry expiry) except -1:
        """It is nobody's any more: the endpoint learns at once."""
        cdef bytes text = self.course.text(expiry)
        self.expiry = expiry
        if expiry in (EXPIRY_REQUEST, EXPIRY_HEAD) and self.pending:
            self.pending = self.unjudged = False
            self.backend.give_up(self.router.loop.now - self.dispatched, self.router.loop.now)
            if self.backend.breaker is not None:
                self.inform(1.0, False)
        else:
            self.accuse(1.0)
        if self.response != RESPONSE_NONE:
            self.client.reset(FAULT_LOCAL, RESET_CANCEL)
            return self.break_off(FAULT_TIMEOUT, 0)
        self.drop_client()
        return self.fail(response_to_timeout(text))

    cdef int drop_client(self) except -1:
        """Before a response is the client's: what the endpoint goes on saying is for nobody."""
        cdef Stream client = self.client
        self.course.drop_held()
        self.client = None
        return 0 if client is None else client.reset(FAULT_LOCAL, RESET_CANCEL)

    cdef bint is_repeatable(self) noexcept:
        """All of it is kept, and its answer is no connection."""
        return (
            self.request_done and self.request is not None
            and not self.translation.is_connect and not self.translation.is_upgrade
        )

    cdef bint is_put_off(self, Head head) except -1:
        """It is not the client's, or not before its trailers have come."""
        cdef Course course = self.course
        course.touched = self.router.loop.now
        if course.retry is None:
            return False
        if not head.end and self.translation.is_grpc and self.awaits_trailers(head):
            course.held = copied(head)
            return True
        if not holds(course.conditions, head.status, self.grpc_status):
            return self.settle() if course.tries or course.retry.budget is not None else False
        if not self.may_try_again():
            return False
        if head.end:
            # It has nothing to be told: its connection is as good as before.
            self.client = None
        self.try_again(False)
        return True

    cdef bint awaits_trailers(self, Head head) noexcept:
        """gRPC tells there how it went, unless a message comes first."""
        cdef Course course = self.course
        if self.grpc_status != NO_GRPC_STATUS:
            return False
        if course.conditions.codes == 0 or course.left <= 0 or not self.is_repeatable():
            return False
        return not holds(course.conditions, head.status, NO_GRPC_STATUS)

    cdef int settle(self) except -1:
        """This answer is none of those that another try may better."""
        cdef Course course = self.course
        if course.retry is None:
            return 0
        if course.tries and course.retry.metrics is not None and self.response == RESPONSE_NONE:
            count(course.retry.metrics.successes)
        if course.retry.budget is not None:
            course.retry.budget.earn(self.router.loop.now)
        return 0

    cdef bint may_try_again(self) except -1:
        """This answer is one of those."""
        cdef Course course = self.course
        cdef Retry retry = course.retry
        cdef RetryMetrics metrics
        if retry is None or not self.is_repeatable():
            return False
        metrics = retry.metrics
        if course.left <= 0:
            if metrics is not None:
                count(metrics.limit_exceeded)
            return False
        if not self.leads_somewhere() or (
            retry.budget is not None and not retry.budget.spend(self.router.loop.now)
        ):
            if metrics is not None:
                count(metrics.overflow)
            return False
        return True

    cdef bint leads_somewhere(self) noexcept:
        cdef Logical own = self.logical if self.home is None else self.home
        return own.is_ready() if self.plan.ways is None else (<Split> self.plan.ways).is_ready(own)

    cdef int forget_head(self) except -1:
        """A head came that is nobody's."""
        self.course.drop_held()
        self.status = 0
        self.grpc_status = NO_GRPC_STATUS
        self.blame = 0
        self.hold_ns = 0
        return 0

    cdef int try_again(self, bint ours) except -1:
        """What has come is not the client's: after a pause it is sent to a backend that is chosen anew."""
        cdef int64_t pause
        self.record_try(ours, False)
        self.judge()
        self.drop_client()
        if self.home is not None:
            self.leave_way()
        self.way = None
        self.backend = None
        self.metrics = None
        self.forget_head()
        self.attempts = 0
        self.error = ERROR_NONE
        self.expiry = EXPIRY_NONE
        self.latency = -1
        self.repeated = False
        self.fresh_since = 0
        pause = self.course.pause()
        self.course.resume = self.router.loop.now + pause
        # Nobody is called from within whatever told the answer.
        return self.router.loop.defer(self) if pause == 0 else self.watch_time()

    cdef int begin_try(self) except -1:
        cdef Course course = self.course
        course.begin_try(self.router.loop.now)
        self.watch_time()
        if course.retry.metrics is not None:
            count(course.retry.metrics.requests)
        if L5D_METRICS and self.plan.actual is not None:
            self.plan.actual.request(self.router.loop.now)
        return self.set_out()

    cdef int let_pass(self) except -1:
        """A head that waited for what comes behind it: it is the client's."""
        cdef Head head = self.course.held
        self.course.held = None
        try:
            self.pass_response(head)
        finally:
            drop_head(head)
        return 0

    # ---- ends

    cdef int fail(self, ErrorResponse answer) except -1:
        """Answers with an error of our own; only before a response head was sent. Where another try may
        better it, there is one."""
        self.grpc_status = answer.code if self.translation.is_grpc else NO_GRPC_STATUS
        if self.course is not None and self.may_mend(&answer):
            self.status = answer.status
            self.error = answer.error
            return self.try_again(True)
        if self.router.seeker.wanting:
            self.show()
        self.status = answer.status
        self.error = answer.error
        self.response = RESPONSE_DONE
        if L5D_METRICS:
            if self.metrics is None and self.logical is not None:
                self.count_request()
            self.router.count_error(answer.error)
        self.router.say(self.logical, self.backend, answer.status, answer.text, answer.text_len)
        send_error_response(self.server, answer, self.translation.is_grpc, self.router.informational)
        return self.finish(END_FAILED)

    cdef bint may_mend(self, const ErrorResponse* answer) except -1:
        """What is shed would only come back."""
        cdef const Conditions* conditions = self.course.conditions
        cdef int code = code_of(answer) if self.translation.is_grpc else NO_GRPC_STATUS
        cdef bint late = answer.error == ERROR_FAILFAST or self.expiry == EXPIRY_TRY
        if answer.error == ERROR_LOAD_SHED or self.expiry not in (EXPIRY_NONE, EXPIRY_TRY):
            return False
        if not late and not holds(conditions, answer.status, code):
            return self.settle()
        return self.may_try_again()

    cdef int on_broken(self) except -1:
        """A fault of ours in the middle of it: both sides learn that it is over."""
        hears_end(self)
        if self.over:
            return 0
        self.error = ERROR_UNEXPECTED
        self.reset_code = RESET_INTERNAL_ERROR
        self.router.count_error(self.error)
        if self.client is not None:
            self.client.reset(FAULT_LOCAL, RESET_INTERNAL_ERROR)
        self.server.reset(FAULT_LOCAL, RESET_INTERNAL_ERROR)
        return self.finish(END_BROKEN)

    cdef int finish(self, End why) except -1:
        """Records, lets go of everything, rests. Idempotent."""
        if self.over:
            return 0
        self.over = True
        self.response = RESPONSE_DONE
        self.judge()
        if self.plan is None:
            self.record()
        else:
            if L5D_METRICS:
                self.record_try(why == END_FAILED, True)
            self.way = None
            if self.plan.watched or self.onlookers is not None:
                self.show_end(why)
            self.plan = None
            if self.course is not None:
                drop_course(self.course, self.router.loop)
                self.course = None
            if self.home is not None:
                self.leave_way()
        if self.passage is not None:
            self.let_out()
        if self.kept is not None:
            self.kept.clear()
        if self.logical is not None and self.client is None:
            self.logical.withdraw(self)
            if self.backend is not None:
                self.backend.withdraw(self)
        self.release_request()
        if self.server_held:
            self.server_held = False
            self.server.unhold()
        if self.counted:
            self.router.ended(self.logical)
        self.router = None
        self.server = self.client = None
        self.logical = None
        self.backend = None
        self.metrics = None
        if L5D_DEBUG:
            gone(LIVE_EXCHANGE)
        shelf_keep(&resting, self, MAX_RESTING)
        return 0

    cdef int release_request(self) except -1:
        if self.request is not None:
            self.request = None
            self.server.release_head()
        return 0

    cdef int hold_server(self) except -1:
        if not self.server_held:
            self.server_held = True
            self.server.hold()
        return 0

    cdef int hold_client(self) except -1:
        if not self.client_held:
            self.client_held = True
            self.client.hold()
        return 0
