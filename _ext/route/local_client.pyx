# cython: language_level=3
"""The proxy's own requests go the way of all traffic: balancer, connections, metrics."""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.fault cimport FAULT_LOCAL, FaultKind, fault_text
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.exchange cimport take_exchange
from linkerd2_py._ext.exchange.head cimport (
    FORM_ORIGIN,
    H_CONTENT_LENGTH,
    H_CONTENT_TYPE,
    H_L5D_REQUIRE_ID,
    HTTP_2,
    HTTP_11,
    drop_head,
    field_id,
    method_id,
    take_head,
)
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.io.transport cimport SEND_FULL, SEND_OK
from linkerd2_py._ext.route.client cimport Client
from linkerd2_py._ext.route.fields cimport fields_of
from linkerd2_py._ext.route.router cimport ConnectionRouter
from linkerd2_py._ext.route.target cimport Target

from linkerd2_py._ext.route.endpoint_spec import NO_TLS

cdef enum:
    ERROR_CANCEL = 8             # RFC 9113 section 7: what HTTP/2 says of a request that is no longer wanted


cdef Client OURSELVES = Client(labels=NO_TLS)


cdef Span span_of(bytes text):
    cdef Span span
    span.ptr = text
    span.len = len(text)
    return span


cdef class LocalClient:
    def __init__(self, TargetTable table not None):
        self.table = table

    def request(
        self, Target target not None, *, bytes method=b"GET", bytes path=b"/", bytes authority=b"",
        headers=(), bytes body=None, bint http2=False, bint end=True, on_head, on_body, on_end, on_reset,
    ):
        """Starts an exchange with `target`. `end=False` keeps the request open for LocalRequest.send.
        Callbacks come from the loop, never from inside this call: on_head(status, headers), on_body(chunk),
        on_end(trailers or None), on_reset(text, http2 error code)."""
        cdef ConnectionRouter router = ConnectionRouter.__new__(ConnectionRouter)
        cdef LocalRequest request = LocalRequest.__new__(LocalRequest)
        self.table.loop.now = now_ns()
        router.loop = self.table.loop
        router.outbound = True
        router.table = self.table
        router.fixed = target
        router.client = OURSELVES
        request.loop = self.table.loop
        request.version = HTTP_2 if http2 else HTTP_11
        request.events = []
        request.on_head, request.on_body = on_head, on_body
        request.on_end, request.on_reset = on_end, on_reset
        request.peer = take_exchange(router)
        request.fill(method, path, authority, list(headers), body, end)
        request.begin(body, end)
        return request


cdef class LocalRequest(Stream):

    def fill(self, bytes method, bytes path, bytes authority, list headers, bytes body, bint end):
        cdef Head head = take_head()
        self.kept = [method, path, authority, *headers]
        self.head = head
        head.version = self.version
        head.method = span_of(method)
        head.method_id = method_id(method, len(method))
        head.form = FORM_ORIGIN
        head.scheme = span_of(b"http")
        head.authority = span_of(authority)
        head.path = span_of(path)
        head.target = head.path
        head.end = end and not body
        head.content_length = len(body) if body is not None and end else -1
        for name, value in headers:
            self.add_field(name, value)
        if head.content_length >= 0:
            length = b"%d" % head.content_length
            self.kept.append(length)
            head.add("content-length", 14, length, len(length), H_CONTENT_LENGTH, 0)

    cdef int add_field(self, bytes name, bytes value) except -1:
        cdef int known = field_id(name, len(name))
        if known == H_L5D_REQUIRE_ID:
            # Of whoever carries our traffic: we choose our own endpoints, and know who must answer there.
            known = 0
        self.head.add(name, len(name), value, len(value), known, 0)
        if known == H_CONTENT_TYPE and value.startswith(b"application/grpc"):
            self.head.is_grpc = True
        return 0

    def begin(self, bytes body, bint end):
        cdef const char* text
        # Ours: the peer may let go of itself before it returns.
        cdef Peer peer = self.peer
        peer.on_request_head(self, self.head)
        if body and self.peer is not None:
            text = body
            peer.on_request_body(text, len(body), end)

    def send(self, bytes body not None, *, bint end=False):
        """More of an open request. Look at `held` before sending much."""
        cdef const char* text = body
        cdef Peer peer = self.peer
        if peer is not None:
            peer.on_request_body(text, len(body), end)

    def cancel(self):
        """Resets the exchange; no callback follows. Idempotent."""
        peer, self.peer = self.peer, None
        self.ended = True
        self.events = []
        if peer is not None:
            (<Peer> peer).on_request_reset(FAULT_LOCAL, ERROR_CANCEL)

    def hold_response(self):
        """No more on_body until unhold_response: the endpoint is held back."""
        self.holding = True

    def unhold_response(self):
        if self.holding:
            self.holding = False
            self.loop.defer(self)

    # ---- commands from the exchange

    cdef int tell(self, tuple event) except -1:
        if self.ended:
            return 0
        self.events.append(event)
        return self.loop.defer(self)

    cdef int on_deferred(self) except -1:
        """Delivers what is due, oldest first, until Python asks to hold."""
        cdef Peer peer
        while self.events and not self.holding and not self.ended:
            callback, *arguments = self.events.pop(0)
            if callback is self.on_end or callback is self.on_reset:
                self.ended = True
                self.peer = None
            callback(*arguments)
        if not self.events and not self.holding and self.peer is not None:
            peer = self.peer
            peer.on_response_room()
        return 0

    cdef int on_broken(self) except -1:
        """A callback raised: what follows makes no sense without what it missed."""
        if self.ended:
            return 0
        self.cancel()
        self.on_reset((<bytes> fault_text(FAULT_LOCAL)).decode(), ERROR_CANCEL)
        return 0

    cdef int send_head(self, Head head) except -1:
        self.tell((self.on_head, head.status, fields_of(head)))
        if head.end:
            self.tell((self.on_end, None))
        return SEND_OK

    cdef int send_interim(self, Head head) except -1:
        return 0

    cdef int send_body(self, const char* p, size_t n, bint end) except -1:
        if n:
            self.tell((self.on_body, p[:n]))
        if end:
            self.tell((self.on_end, None))
        return SEND_FULL if self.holding else SEND_OK

    cdef int send_trailers(self, Head trailers) except -1:
        return self.tell((self.on_end, fields_of(trailers)))

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        return self.tell((self.on_reset, (<bytes> fault_text(kind)).decode(), code))

    cdef int hold(self) except -1:
        self.held = True
        return 0

    cdef int unhold(self) except -1:
        self.held = False
        return 0

    cdef int release_head(self) except -1:
        if self.head is not None:
            drop_head(self.head)
            self.head = None
            self.kept = None
        return 0
