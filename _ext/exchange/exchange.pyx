# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The path of a request: head in, backend chosen, head out, bodies both ways, one record at the end. Read it from on_request_head down."""

from cpython.ref cimport PyObject
from libc.string cimport memcpy, strlen
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_EXCHANGE, born, gone
from linkerd2_py._ext.core.fault cimport FAULT_CONNECT_TIMEOUT, FAULT_LOCAL, FAULT_PROTOCOL, FAULT_EOF, FAULT_REFUSED, FAULT_RESET, FAULT_TIMEOUT, FAULT_TLS, FAULT_UNREACHABLE, FaultKind, is_ours
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take
from linkerd2_py._ext.exchange.backend cimport (
    UNAVAILABLE_CLOSED, UNAVAILABLE_FAILFAST, UNAVAILABLE_LOOP, UNAVAILABLE_REJECTED, UNAVAILABLE_SHED, WANTS_HTTP1, WANTS_HTTP2, WANTS_TRANSPORT, Backend, Router, Unavailable, Waiter, Wants,
)
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, FORM_ABSOLUTE, FORM_ORIGIN, H_GRPC_STATUS, H_HOST, H_L5D_PROXY_CONNECTION, H_L5D_PROXY_ERROR, H_L5D_REQUIRE_ID, HTTP_11, HTTP_2, METHOD_CONNECT,
    METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PUT, METHOD_TRACE, Field, Head, Method,
    drop_head, take_head,
)
from linkerd2_py._ext.exchange.orig_proto cimport mark_request, mark_response, restore_request, restore_response, strip
from linkerd2_py._ext.exchange.rescue cimport Rescue, rescue_of_fault, send_grpc_trailers, send_rescue
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.exchange.verdict cimport hold_asked, weight_of_answer
from linkerd2_py._ext.io.transport cimport SEND_FULL, Transport
from linkerd2_py._ext.metrics.http cimport (
    CLASS_FAILURE, ERROR_CANCELLED, ERROR_CONNECT, ERROR_CONNECT_TIMEOUT, ERROR_FAILFAST, ERROR_IO, ERROR_LOAD_SHED, ERROR_LOOP, ERROR_NO_ROUTE, ERROR_NONE,
    ERROR_PROTOCOL, ERROR_RESET, ERROR_TIMEOUT, ERROR_TLS, ERROR_UNEXPECTED, NO_GRPC_STATUS, Classification, ResponseError, classify,
)
from linkerd2_py._ext.metrics.series cimport L5D_METRICS

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* ob) noexcept

cdef enum:
    MAX_ATTEMPTS = 4          # backends tried while nothing was written
    MAX_RESTING = 256         # recycled exchanges kept
    BACKLOG_BYTES = 1048576   # body that may arrive before there is a client half: an HTTP/2 stream window, with room for larger configured ones
    KEPT_BYTES = 65536        # of one body that was sent and may have to be sent again
    KEPT_IN_ALL = 67108864    # of all such bodies; then they are no longer kept
    H2_NO_ERROR = 0
    H2_INTERNAL_ERROR = 2
    H2_REFUSED_STREAM = 7
    H2_CANCEL = 8
    H2_HTTP_1_1_REQUIRED = 13
    LEAST_FAILURE = 429       # no status below it is a failure of the endpoint

cdef Shelf resting
cdef size_t kept_in_all = 0


cdef ResponseError error_of_fault(FaultKind kind) noexcept:
    """What the `error` label of response_total says about a fault."""
    if kind == FAULT_REFUSED or kind == FAULT_UNREACHABLE:
        return ERROR_CONNECT
    if kind == FAULT_CONNECT_TIMEOUT:
        return ERROR_CONNECT_TIMEOUT
    if kind == FAULT_TLS:
        return ERROR_TLS
    if kind == FAULT_TIMEOUT:
        return ERROR_TIMEOUT
    return ERROR_PROTOCOL if kind == FAULT_PROTOCOL else ERROR_IO


cdef bint is_idempotent(Method method) noexcept:
    return method in (METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PUT, METHOD_DELETE, METHOD_TRACE)


cdef ResponseError error_of_unavailable(Unavailable why, int status) noexcept:
    if why == UNAVAILABLE_FAILFAST:
        return ERROR_FAILFAST
    if why == UNAVAILABLE_SHED or why == UNAVAILABLE_CLOSED:
        return ERROR_LOAD_SHED
    if why == UNAVAILABLE_LOOP:
        return ERROR_LOOP
    return ERROR_NO_ROUTE if status == 404 else ERROR_UNEXPECTED


cdef Exchange take_exchange(Router router):
    """A recycled exchange that nobody refers to any more, or a new one."""
    cdef Exchange exchange
    if resting.count:
        exchange = <Exchange> shelf_take(&resting)
        # A codec may still hold it while draining a message that was answered early: then it is not ours to reuse.
        if Py_REFCNT(<PyObject*> exchange) == 1:
            exchange.begin(router)
            return exchange
    exchange = Exchange.__new__(Exchange)
    exchange.begin(router)
    return exchange


cdef class Exchange(Waiter):

    cdef int begin(self, Router router) except -1:
        self.router = router
        self.backlog_end = self.request_done = self.over = self.counted = self.pending = False
        self.server_held = self.client_held = False
        self.is_grpc = self.is_connect = self.is_upgrade = False
        self.orig_proto_in = self.orig_proto_out = False
        self.repeated = self.wants_fresh = self.unjudged = False
        self.blame = 0
        self.hold_ns = 0
        self.response = RESPONSE_NONE
        self.orig_proto_field = -1
        self.is_demanding = False
        self.attempts = 0
        self.status = 0
        self.latency = -1
        self.error = ERROR_NONE
        self.grpc_status = NO_GRPC_STATUS
        if L5D_DEBUG:
            born(LIVE_EXCHANGE)
        return 0

    # ---- request: from the server half

    cdef int on_request_head(self, Stream half, Head head) except -1:
        self.server = half
        self.request = head
        self.started = self.router.loop.now
        self.request_done = head.end
        self.is_grpc = head.is_grpc
        self.is_connect = head.method_id == METHOD_CONNECT
        self.is_upgrade = head.upgrade
        self.idempotent = is_idempotent(head.method_id)
        if half.version == HTTP_2 and self.router.accept_orig_proto:
            self.orig_proto_in = restore_request(head)
        else:
            strip(head)
        self.client_version = head.version
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
        if self.router.is_forward_proxy():
            if self.is_connect:
                return self.logical.await_profile(self)
            if head.form == FORM_ABSOLUTE:
                self.to_origin_form(head)
        return self.logical.choose(self)

    cdef int take_requirement(self, Head head) except -1:
        """The application names who must answer (l5d-require-id); the header is for us alone. An empty one is met by nobody."""
        cdef Field* field = head.find(H_L5D_REQUIRE_ID)
        if field != NULL:
            self.required.ptr = field.value
            self.required.len = field.value_len
            self.is_demanding = True
            head.drop(H_L5D_REQUIRE_ID)
        return 0

    cdef int to_origin_form(self, Head head) except -1:
        """A forward proxy sends origin-form, and a Host equal to the target's authority (RFC 9112 section 3.2.2)."""
        head.form = FORM_ORIGIN
        head.target = head.path
        head.drop(H_HOST)
        return head.add("Host", 4, head.authority.ptr, head.authority.len, H_HOST, 0)

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        if self.over:
            return 0
        if self.client is None:
            return self.keep_body(p, n, end)
        if self.request is not None:
            self.keep_sent(p, n, end)
        if end:
            self.request_done = True
        if self.client.send_body(p, n, end) == SEND_FULL and not end:
            self.hold_server()
        if end and self.response == RESPONSE_DONE:
            return self.finish()
        return 0

    cdef int on_request_trailers(self, Head trailers) except -1:
        if self.over:
            return 0
        self.request_done = True
        if self.client is None:
            return self.keep_trailers(trailers)
        self.stop_keeping()
        self.client.send_trailers(trailers)
        return self.finish() if self.response == RESPONSE_DONE else 0

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        """The client is gone or broke its message: the endpoint learns at once."""
        if self.over:
            return 0
        if self.client is not None:
            self.client.reset(kind, code if code else H2_CANCEL)
        self.error = ERROR_CANCELLED
        return self.finish()

    cdef int on_request_room(self) except -1:
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
        if self.backlog is None:
            self.backlog = ByteQueue.__new__(ByteQueue)
        if self.backlog.size + n > BACKLOG_BYTES:
            self.fail(503, "request body too large to hold while waiting for an endpoint", 60, True, ERROR_LOAD_SHED)
            return 0
        self.backlog.put(p, n)
        if end:
            self.backlog_end = self.request_done = True
        return 0

    cdef int keep_sent(self, const char* p, size_t n, bint end) except -1:
        """A copy of what is sent, until the response begins: what the endpoint did not process may be sent elsewhere. Large bodies are not kept, but for those of
        a peer that may turn out to speak no HTTP/2: there the client is held until that is known."""
        global kept_in_all
        if not self.may_keep(n):
            return self.stop_keeping()
        if self.backlog is None:
            self.backlog = ByteQueue.__new__(ByteQueue)
        self.backlog.put(p, n)
        self.kept += n
        kept_in_all += n
        if end:
            self.backlog_end = True
        elif self.has_much() and not self.client.is_proven():
            self.client.awaits_proof = True
            self.hold_server()
        return 0

    cdef bint may_keep(self, size_t n) noexcept:
        """Only where a request can come back: from HTTP/2, and from a connection that may have ended before a byte was written."""
        if self.response != RESPONSE_NONE or kept_in_all + n > KEPT_IN_ALL or not (self.client.pooled or self.client.version == HTTP_2):
            return False
        return not self.client.is_proven() or n + (0 if self.backlog is None else self.backlog.size) <= KEPT_BYTES

    cdef bint has_much(self) noexcept:
        """More is kept of what was sent than is worth it once the peer is known to speak HTTP/2."""
        return self.client is not None and self.backlog is not None and self.backlog.size > KEPT_BYTES

    cdef int stop_keeping(self) except -1:
        """The request will not be sent again."""
        self.drop_kept()
        return self.release_request()

    cdef int keep_trailers(self, Head trailers) except -1:
        cdef int i
        cdef Field* field
        cdef char* name
        self.early_trailers = take_head()
        for i in range(trailers.count):
            field = &trailers.fields[i]
            if field.flags & FIELD_DROPPED:
                continue
            name = self.early_trailers.alloc(field.name_len)
            memcpy(name, field.name, field.name_len)
            self.early_trailers.put(name, field.name_len, field.value, field.value_len, field.id)
        return 0

    cdef bint has_kept(self) noexcept:
        return self.backlog_end or self.early_trailers is not None or (self.backlog is not None and self.backlog.size > 0)

    cdef int send_kept(self) except -1:
        """Forwards what had to wait; it goes on being kept while it may have to be sent again."""
        cdef int outcome = 0
        if self.backlog is not None:
            outcome = self.send_backlog()
        if self.early_trailers is not None:
            self.client.send_trailers(self.early_trailers)
        if not self.may_keep(0):
            self.stop_keeping()
        return outcome

    cdef int send_backlog(self) except -1:
        cdef Buffer part = self.backlog.first
        cdef int outcome = 0
        while part is not None:
            outcome = self.client.send_body(part.head(), part.size(), self.backlog_end and part.next is None)
            part = part.next
        return self.client.send_body(NULL, 0, True) if self.backlog_end and self.backlog.size == 0 else outcome

    cdef int drop_kept(self) except -1:
        global kept_in_all
        kept_in_all -= self.kept
        self.kept = 0
        self.backlog_end = False
        if self.backlog is not None:
            self.backlog.clear()
        if self.early_trailers is not None:
            drop_head(self.early_trailers)
            self.early_trailers = None
        return 0

    # ---- dispatch: from the target and the backend

    cdef int on_profile(self, bint opaque) except -1:
        """CONNECT to us: opaque targets are connected before we answer, others are detected inside the tunnel."""
        if self.over:
            return 0
        if opaque:
            return self.logical.choose(self)
        return self.accept_connect(None)

    cdef int on_backend(self, Backend backend) except -1:
        if self.over:
            return 0
        self.backend = backend
        if self.is_demanding and not backend.proves(self.required):
            return self.fail(502, "the endpoint does not have the required identity", 48, True, ERROR_TLS)
        self.attempts += 1
        self.dispatched = self.router.loop.now
        backend.begin()
        self.pending = self.unjudged = True
        return backend.serve(self, self.wants(backend))

    cdef Wants wants(self, Backend backend):
        """HTTP/1 travels as HTTP/2 to a meshed peer, but never an upgrade or a CONNECT. HTTP/2 stays HTTP/2 unless the server knows none (gRPC needs it)."""
        if self.is_connect and self.router.is_forward_proxy():
            return WANTS_TRANSPORT
        if self.client_version == HTTP_2:
            return WANTS_HTTP1 if backend.http1_only and not self.is_grpc else WANTS_HTTP2
        if backend.h2 and not backend.http1_only and not self.is_upgrade and not self.is_connect and self.request.authority.len:
            return WANTS_HTTP2
        return WANTS_HTTP1

    cdef int on_stream(self, Stream half) except -1:
        """The backend gave a client half: the request goes out."""
        cdef Head head = self.request
        cdef int outcome
        if self.over:
            half.reset(FAULT_LOCAL, H2_CANCEL)
            return 0
        self.client = half
        self.mark_orig_proto(head, half)
        if L5D_METRICS and self.metrics is None:
            self.metrics = self.router.metrics_for(self.logical, self.backend, head)
            if self.metrics is not None:
                self.metrics.request(self.router.loop.now)
        self.router.stamp(self.logical, self.backend, head)
        outcome = half.send_head(head)
        if self.has_kept():
            outcome = self.send_kept()
        if outcome == SEND_FULL:
            if not self.request_done:
                self.hold_server()
        else:
            self.on_request_room()
        return 0

    cdef int mark_orig_proto(self, Head head, Stream half) except -1:
        """Adds the header for an HTTP/2 half; takes it back when a second attempt goes to an HTTP/1 one."""
        cdef bint wanted = half.version == HTTP_2 and head.version != HTTP_2
        if wanted and self.orig_proto_field < 0:
            strip(head)
            self.orig_proto_field = mark_request(head)
        elif self.orig_proto_field >= 0:
            if wanted:
                head.fields[self.orig_proto_field].flags &= ~FIELD_DROPPED
            else:
                head.fields[self.orig_proto_field].flags |= FIELD_DROPPED
        self.orig_proto_out = wanted
        return 0

    cdef int on_transport(self, Transport transport) except -1:
        if self.over:
            transport.abort()
            return 0
        return self.accept_connect(transport)

    cdef int accept_connect(self, Transport server_side) except -1:
        """Answers CONNECT with 200 and gives the connection away; the exchange ends here."""
        cdef Head head = take_head()
        cdef Transport client_side
        cdef Router router = self.router
        cdef Logical logical = self.logical
        try:
            head.version = HTTP_11
            head.status = 200
            self.server.send_head(head)
        finally:
            drop_head(head)
        client_side = self.server.into_tunnel()
        self.status = 200
        self.response = RESPONSE_DONE
        self.first_byte()
        self.finish()
        if server_side is None:
            return router.take_over(client_side, logical)
        return router.tunnel(client_side, server_side)

    cdef int on_unavailable(self, Unavailable why, int status, bytes text) except -1:
        if self.over:
            return 0
        if self.backend is not None:
            # It waited for that one, in vain.
            self.accuse(1.0 if why == UNAVAILABLE_FAILFAST else 0.0)
        # Only a rejection is about this one request; the others say that the client should look for another proxy or come back later.
        return self.fail(status, text, len(text), why != UNAVAILABLE_REJECTED or status == 502, error_of_unavailable(why, status))

    cdef int on_backend_failed(self, FaultKind kind, int code) except -1:
        """No connection could be had and nothing was written: another backend may serve, or this one in another way."""
        cdef Rescue rescue
        if self.over:
            return 0
        self.accuse(0.0 if is_ours(kind) or code == H2_HTTP_1_1_REQUIRED and kind == FAULT_PROTOCOL else 1.0)
        if self.may_choose_again(kind, code):
            self.backend = None
            return self.logical.choose(self)
        rescue = rescue_of_fault(kind)
        return self.fail(rescue.status, rescue.text, strlen(rescue.text), rescue.close, error_of_fault(kind))

    cdef bint may_choose_again(self, FaultKind kind, int code) noexcept:
        """Not where there is one endpoint only, unless it was taken out of service by us, or has shown that HTTP/1 is what it speaks."""
        if self.attempts >= MAX_ATTEMPTS:
            return False
        return not self.backend.alone or kind == FAULT_LOCAL or (kind == FAULT_PROTOCOL and code == H2_HTTP_1_1_REQUIRED)

    # ---- response: from the client half

    cdef int on_interim_head(self, Head head) except -1:
        if self.over or self.response != RESPONSE_NONE:
            return 0
        self.strip_ours(head)
        self.server.send_interim(head)
        return 0

    cdef int on_response_head(self, Head head) except -1:
        if self.over:
            return 0
        self.stop_keeping()
        self.status = head.status
        self.note_grpc_status(head)
        if head.status >= LEAST_FAILURE or self.grpc_status > 0:
            self.note_failure(head)
        self.response = RESPONSE_HEAD
        self.edit_response(head)
        if (head.status == 101 and self.is_upgrade) or (self.is_connect and 200 <= head.status < 300):
            return self.open_tunnel(head)
        if head.end:
            self.response = RESPONSE_DONE
            self.first_byte()
            self.server.send_head(head)
            return self.response_ended()
        if self.server.send_head(head) == SEND_FULL:
            self.hold_client()
        return 0

    cdef int edit_response(self, Head head) except -1:
        if self.orig_proto_out:
            restore_response(head)
        if self.router.outbound:
            if self.backend.alone and self.backend.secured and head.present >> H_L5D_PROXY_CONNECTION & 1:
                # The peer proxy made this answer itself and has no other replica: the application may find one.
                head.wants_close = True
        self.strip_ours(head)
        if self.orig_proto_in:
            mark_response(head, head.version)
        return 0

    cdef int strip_ours(self, Head head) except -1:
        """What proxies tell each other is not for the application."""
        strip(head)
        if self.router.outbound:
            head.drop(H_L5D_PROXY_ERROR)
            head.drop(H_L5D_PROXY_CONNECTION)
        return 0

    cdef int open_tunnel(self, Head head) except -1:
        cdef Transport client_side, server_side
        cdef Router router = self.router
        self.response = RESPONSE_DONE
        self.first_byte()
        self.server.send_head(head)
        client_side = self.server.into_tunnel()
        server_side = self.client.into_tunnel()
        self.finish()
        return router.tunnel(client_side, server_side)

    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1:
        if self.over:
            return 0
        self.first_byte()
        if end:
            self.response = RESPONSE_DONE
        if self.server.send_body(p, n, end) == SEND_FULL and not end:
            self.hold_client()
        return self.response_ended() if end else 0

    cdef int on_response_trailers(self, Head trailers) except -1:
        if self.over:
            return 0
        self.note_grpc_status(trailers)
        if self.grpc_status > 0:
            self.note_failure(trailers)
        self.first_byte()
        self.response = RESPONSE_DONE
        self.server.send_trailers(trailers)
        return self.response_ended()

    cdef int response_ended(self) except -1:
        """The client has its whole answer. What is left of the request no longer matters to the endpoint."""
        if not self.request_done and self.client is not None:
            self.client.reset(FAULT_LOCAL, H2_NO_ERROR)
        return self.finish()

    cdef int on_response_room(self) except -1:
        if self.client_held and not self.over:
            self.client_held = False
            self.client.unhold()
        return 0

    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1:
        cdef Rescue rescue
        cdef bint repeatable
        if self.over:
            return 0
        refused = refused or code == H2_HTTP_1_1_REQUIRED
        repeatable = refused or self.may_repeat(kind, code)
        self.accuse(self.weight_of_reset(kind, code, repeatable))
        self.client = None
        if code == H2_HTTP_1_1_REQUIRED:
            self.backend.http1_only = True
        if self.response == RESPONSE_NONE:
            if repeatable and self.request is not None and self.attempts < MAX_ATTEMPTS:
                return self.send_again(not refused)
            return self.fail_unanswered(kind, code)
        rescue = rescue_of_fault(kind)
        self.error = ERROR_RESET if code else error_of_fault(kind)
        if self.is_grpc and self.server.version == HTTP_2 and kind != FAULT_PROTOCOL:
            # A connection died under a gRPC response: the client learns why instead of a truncated message.
            self.grpc_status = 14
            send_grpc_trailers(self.server, rescue.status, rescue.text)
        else:
            self.server.reset(kind, code if code else H2_INTERNAL_ERROR)
        return self.finish()

    cdef double weight_of_reset(self, FaultKind kind, uint32_t code, bint repeatable) noexcept:
        """A pooled connection may end at any time, and a server that speaks another protocol has not failed."""
        if is_ours(kind) or code == H2_HTTP_1_1_REQUIRED:
            return 0.0
        if repeatable and code == H2_NO_ERROR and self.client is not None and self.client.pooled:
            return 0.0
        return 0.5 if code == H2_REFUSED_STREAM else 1.0

    cdef int send_again(self, bint fresh) except -1:
        """The client waits meanwhile: what it goes on sending would have to be kept."""
        self.repeated = self.repeated or fresh
        self.wants_fresh = fresh
        self.backend = None
        # The response will be of another attempt, maybe another endpoint's: this one stays a request without a response.
        self.metrics = None
        if not self.request_done:
            self.hold_server()
        # Behind what else the endpoint has said: that it goes away, or how much it allows.
        return self.router.loop.defer(self)

    cdef int on_deferred(self) except -1:
        return 0 if self.over else self.logical.choose(self)

    cdef bint may_repeat(self, FaultKind kind, uint32_t code) noexcept:
        """A pooled connection that ended under a request: once more, if the method allows it (RFC 9110 section 9.2.2) and what was sent is kept."""
        if self.repeated or self.client is None or not self.client.pooled or code or not self.idempotent:
            return False
        return kind == FAULT_RESET or kind == FAULT_EOF

    cdef int fail_unanswered(self, FaultKind kind, uint32_t code) except -1:
        cdef Rescue rescue = rescue_of_fault(kind)
        if code == H2_REFUSED_STREAM and (self.is_grpc or self.server.version != HTTP_2):
            return self.fail(503, "the endpoint refused the request", 32, True, ERROR_RESET)
        if kind == FAULT_PROTOCOL and code and code != H2_HTTP_1_1_REQUIRED and self.client_version == HTTP_2 and self.server.version == HTTP_2:
            # Between two HTTP/2 peers a reset stays a reset.
            self.error = ERROR_RESET
            self.server.reset(kind, code)
            return self.finish()
        return self.fail(rescue.status, rescue.text, strlen(rescue.text), rescue.close, error_of_fault(kind))

    # ---- ends

    cdef int fail(self, int status, const char* text, size_t text_len, bint close, ResponseError error) except -1:
        """Answers with an error of our own; only before a response head was sent."""
        self.status = status
        self.error = error
        self.response = RESPONSE_DONE
        if L5D_METRICS and self.metrics is None and self.logical is not None:
            self.metrics = self.router.metrics_for(self.logical, self.backend, self.request)
            if self.metrics is not None:
                self.metrics.request(self.router.loop.now)
        send_rescue(self.server, status, text, text_len, close, self.is_grpc, self.router.informational)
        return self.finish()

    cdef int on_broken(self) except -1:
        """A fault of ours in the middle of it: both sides learn that it is over."""
        if self.over:
            return 0
        self.error = ERROR_UNEXPECTED
        if self.client is not None:
            self.client.reset(FAULT_LOCAL, H2_INTERNAL_ERROR)
        self.server.reset(FAULT_LOCAL, H2_INTERNAL_ERROR)
        return self.finish()

    cdef int finish(self) except -1:
        """Records, lets go of everything, rests. Idempotent."""
        if self.over:
            return 0
        self.over = True
        self.record()
        self.judge()
        self.drop_kept()
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

    cdef int record(self) except -1:
        """response_total and response_latency_ms. A cancelled response counts as if it had ended without trailers (linkerd2-proxy); one that broke is a failure."""
        cdef int64_t now = self.router.loop.now
        cdef int64_t latency = now - self.started if self.latency < 0 else self.latency
        cdef Classification found
        if self.metrics is None or self.status == 0:
            return 0
        if self.error == ERROR_NONE:
            found = classify(self.status, self.grpc_status, self.is_grpc)
            self.metrics.response(self.status, found, self.grpc_status, latency, now)
            return 0
        found = CLASS_FAILURE
        if self.error == ERROR_CANCELLED or self.error == ERROR_NO_ROUTE or self.error == ERROR_UNEXPECTED:
            found = classify(self.status, self.grpc_status, False)
        self.metrics.failed(self.status, found, self.grpc_status, self.error, latency, now)
        return 0

    cdef int first_byte(self) except -1:
        """Dispatch to first body frame is what the balancer learns from (linkerd2-proxy's pending-until-first-data)."""
        cdef int64_t now
        if self.latency >= 0:
            return 0
        now = self.router.loop.now
        self.latency = now - self.started
        if self.pending and not self.blame:
            self.pending = False
            self.backend.complete(now - self.dispatched, now)
        return self.unpend()

    cdef int unpend(self) except -1:
        if self.pending:
            self.pending = False
            self.backend.cancel()
        return 0

    # ---- what the balancer learns: an answer, a failure, or how long was waited in vain

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
            if weight:
                self.backend.fail(weight, self.dispatched, self.hold_ns, self.router.loop.now)
        return 0

    cdef int judge(self) except -1:
        """At the end. An error of our own, or one that the client made, says nothing about the endpoint but how long it let wait."""
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
        self.unjudged = False
        return self.unpend()

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
