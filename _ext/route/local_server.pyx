# cython: language_level=3
"""The proxy's admin server stands on the same codecs as its traffic."""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.core.http_date cimport HTTP_DATE_ROOM, put_http_date
from linkerd2_py._ext.core.fault cimport FAULT_LOCAL, FaultKind
from linkerd2_py._ext.detect.detect cimport PROTO_HTTP2, Protocol
from linkerd2_py._ext.exchange.head cimport (
    H_CONTENT_LENGTH,
    H_DATE,
    HTTP_2,
    HTTP_11,
    drop_head,
    field_id,
    take_head,
)
from linkerd2_py._ext.http1.server cimport Http1Server
from linkerd2_py._ext.http1.session cimport PHASE_HEAD
from linkerd2_py._ext.http2.server cimport Http2Server
from linkerd2_py._ext.io.address cimport SocketOptions
from linkerd2_py._ext.io.listener cimport Listener
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport SEND_FULL, Session
from linkerd2_py._ext.route.client cimport Permission, client_over_tls
from linkerd2_py._ext.route.fields cimport fields_of
from linkerd2_py._ext.tls.identity cimport LocalIdentity

from linkerd2_py._ext.route.endpoint_spec import NO_TLS

cdef enum:
    REQUEST_BODY_BYTES = 65536   # what is sent to an admin server is short: a log level, a few words
    ERROR_CANCEL = 8             # RFC 9113 section 7: what HTTP/2 says of an exchange that is given up


cdef Passage UNASKED = Passage(refusal="nobody is asked about requests of this port")


cdef class LocalServer(Entry):
    """A server whose requests are answered by Python: `on_request(Request)` is called with the whole request.
    However many connect and say nothing, who comes next is served."""

    def __init__(
        self, Loop loop not None, *, on_request, Limits limits=None, int connections_max=100,
        LocalIdentity identity=None, tuple no_tls=NO_TLS, int64_t patience_ns=10_000_000_000,
    ):
        self.loop = loop
        self.identity = identity
        self.takes_plain = True
        self.patience_ns = patience_ns
        self.on_request = on_request
        self.limits = Limits() if limits is None else limits
        self.no_tls = no_tls
        self.listeners = []
        self.connections_max = connections_max
        self.transports = []

    def listen(self, str host not None, int port):
        """Returns the actual Address; raises OSError when it is taken."""
        listener = Listener(self.loop, (host, port), self, SocketOptions(), None, 128)
        self.listeners.append(listener)
        return listener.address

    def drain(self):
        """Listeners close, idle connections close, answers under way finish."""
        for listener in self.listeners:
            listener.close()
        self.listeners = []
        self.drop_entering()
        transports, self.transports = self.transports, []
        for transport in transports:
            drain_session((<Transport> transport).session)

    cdef bint make_room(self) except -1:
        cdef Transport one
        self.transports = [each for each in self.transports if not (<Transport> each).dead]
        if len(self.transports) + len(self.entering) < self.connections_max or self.drop_oldest():
            return True
        for one in self.transports:
            if is_idle(one.session):
                break
        else:
            one = self.transports[0]
        end_session(one.session)
        return True

    cdef int admit(self, Transport transport, Protocol protocol, bint secured, bytes peer) except -1:
        cdef LocalDispatch dispatch = LocalDispatch.__new__(LocalDispatch)
        dispatch.server = self
        dispatch.client = client_over_tls(peer) if secured else Client(labels=self.no_tls)
        dispatch.peer = transport.peer_address()
        self.transports.append(transport)
        if protocol == PROTO_HTTP2:
            return transport.attach(Http2Server(dispatch, self.limits, proven=peer is not None))
        return transport.attach(Http1Server(dispatch, self.limits))


cdef bint is_idle(Session session):
    if isinstance(session, Http1Server):
        return (<Http1Server> session).phase == PHASE_HEAD
    return isinstance(session, Http2Server) and (<Http2Server> session).table.count == 0


cdef int drain_session(Session session) except -1:
    if isinstance(session, Http1Server):
        return (<Http1Server> session).drain()
    return (<Http2Server> session).drain() if isinstance(session, Http2Server) else 0


cdef int end_session(Session session) except -1:
    """At once; what is under way is told."""
    if isinstance(session, Http1Server):
        return (<Http1Server> session).abort()
    return (<Http2Server> session).shut() if isinstance(session, Http2Server) else 0


cdef class LocalDispatch(Dispatch):
    cdef Peer new_exchange(self, Stream half):
        cdef Request request = Request.__new__(Request)
        request.server = self.server
        request.client = self.client
        request.peer = self.peer
        request.chunks = []
        return request


cdef class Request(Peer):

    @property
    def body(self):
        return b"".join(self.chunks)

    @property
    def loop(self):
        return self.server.loop

    def respond(self, int status, headers=(), body=b""):
        """Answers once. `body` is bytes, or an iterator of bytes that is pulled one slice a loop turn, with
        back-pressure. Nothing happens if the client went away."""
        cdef Head head
        cdef bint ended
        if self.half is None:
            return
        head = take_head()
        try:
            self.fill(head, status, headers, body)
            ended = head.end
            self.half.send_head(head)
        finally:
            drop_head(head)
        if ended:
            self.half = None
            return
        if isinstance(body, bytes):
            self.send_whole(body)
            return
        self.slices = iter(body)
        self.server.loop.defer(self)

    cdef int fill(self, Head head, int status, object headers, object body) except -1:
        cdef char[HTTP_DATE_ROOM] date
        head.version = HTTP_11
        head.status = status
        head.content_length = len(body) if isinstance(body, bytes) else -1
        # HTTP/1 leaves out by itself what nobody asked for.
        head.end = head.content_length == 0 or self.method == b"HEAD" and self.half.version == HTTP_2
        for name, value in headers:
            head.put(name, len(name), value, len(value), field_id(name, len(name)))
        if head.content_length >= 0:
            length = b"%d" % head.content_length
            head.put("content-length", 14, length, len(length), H_CONTENT_LENGTH)
        head.put("date", 4, date, put_http_date(date), H_DATE)
        return 0

    cdef int send_whole(self, bytes body) except -1:
        cdef const char* text = body
        cdef Stream half = self.half
        self.half = None
        half.send_body(text, len(body), True)
        return 0

    cdef int on_deferred(self) except -1:
        cdef const char* text
        cdef bytes piece
        if self.half is None or self.slices is None:
            return 0
        piece = next(self.slices, None)
        if piece is None:
            half, self.half, self.slices = self.half, None, None
            (<Stream> half).send_body(NULL, 0, True)
            return 0
        text = piece
        if self.half.send_body(text, len(piece), False) == SEND_FULL:
            self.waiting_for_room = True
            return 0
        return self.server.loop.defer(self)

    cdef int on_broken(self) except -1:
        """The body's iterator raised: what was sent must not look complete."""
        half, self.half, self.slices = self.half, None, None
        return 0 if half is None else (<Stream> half).reset(FAULT_LOCAL, ERROR_CANCEL)

    # ---- from the codec

    cdef int on_request_head(self, Stream half, Head head) except -1:
        cdef Passage refusal = self.refusal_of(head)
        cdef bint end = head.end
        self.half = half
        self.method = head.method.ptr[:head.method.len]
        self.path = head.path.ptr[:head.path.len]
        self.authority = head.authority.ptr[:head.authority.len]
        self.headers = fields_of(head)
        half.release_head()
        if refusal is not None:
            return self.refuse(refusal)
        return self.ask() if end else 0

    cdef Passage refusal_of(self, Head head):
        """Policy is asked for each request: they are few, and it may have changed. None: it is let in."""
        cdef Permission permission
        cdef Passage passage
        if self.server.authorize is None:
            return None
        permission = self.server.authorize(self.client, self.peer)
        passage = permission.judge(head)
        if passage.gate is not None or passage.examiner is not None:
            # Nobody is asked about these, and nobody looks for tokens in them.
            return UNASKED
        return None if passage.refusal is None else passage

    cdef int refuse(self, Passage passage) except -1:
        fields = [(b"content-type", b"text/plain")]
        if self.client.identity is not None:
            # A stranger learns nothing from our own errors.
            fields.append((b"l5d-proxy-error", passage.refusal))
        self.respond(passage.status, fields, passage.refusal + b"\n")
        return 0

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        if self.half is None:
            return 0
        self.append(p, n)
        if self.size > REQUEST_BODY_BYTES:
            self.chunks = []
            self.respond(413, [(b"content-type", b"text/plain")], b"request body too large\n")
            return 0
        return self.ask() if end else 0

    cdef int append(self, const char* p, size_t n) except -1:
        self.size += n
        if n:
            self.chunks.append(p[:n])
        return 0

    cdef int on_request_trailers(self, Head trailers) except -1:
        return 0 if self.half is None else self.ask()

    cdef int ask(self) except -1:
        self.server.on_request(self)
        return 0

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        self.half = None
        self.slices = None
        return 0

    cdef int on_response_room(self) except -1:
        if self.waiting_for_room:
            self.waiting_for_room = False
            return self.server.loop.defer(self)
        return 0
