# cython: language_level=3
"""The proxy's admin server stands on the same codec as its traffic."""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.http_date cimport HTTP_DATE_ROOM, put_http_date
from linkerd2_py._ext.core.fault cimport FAULT_LOCAL, FaultKind
from linkerd2_py._ext.exchange.head cimport H_CONTENT_LENGTH, H_DATE, HTTP_11, drop_head, field_id, take_head
from linkerd2_py._ext.http1.server cimport Http1Server
from linkerd2_py._ext.http1.session cimport PHASE_HEAD
from linkerd2_py._ext.io.address cimport SocketOptions
from linkerd2_py._ext.io.listener cimport Listener
from linkerd2_py._ext.io.transport cimport SEND_FULL, Transport
from linkerd2_py._ext.route.fields cimport fields_of

cdef enum:
    REQUEST_BODY_BYTES = 1048576 # what is sent to an admin server is short: a log level, a few words
    ERROR_CANCEL = 8             # RFC 9113 section 7: what HTTP/2 says of an exchange that is given up


cdef class LocalServer(Accepting):
    """An HTTP/1 server whose requests are answered by Python: `on_request(Request)` is called with the whole
    request. However many connect and say nothing, who comes next is served."""

    def __init__(self, Loop loop not None, *, on_request, Limits limits=None, int connections_max=100):
        self.loop = loop
        self.on_request = on_request
        self.limits = Limits() if limits is None else limits
        self.listeners = []
        self.connections_max = connections_max
        self.sessions = []

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
        sessions, self.sessions = self.sessions, []
        for codec in sessions:
            (<Http1Server> codec).drain()

    cdef int on_accepted(self, Transport transport) except -1:
        cdef LocalDispatch dispatch = LocalDispatch.__new__(LocalDispatch)
        dispatch.server = self
        dispatch.peer = transport.peer_address()
        self.make_room()
        session = Http1Server(dispatch, self.limits)
        self.sessions.append(session)
        return transport.attach(session)

    cdef int make_room(self) except -1:
        cdef Http1Server one, oldest = None
        self.sessions = [each for each in self.sessions if (<Http1Server> each).transport is not None]
        if len(self.sessions) < self.connections_max:
            return 0
        for one in self.sessions:
            if one.phase == PHASE_HEAD:
                oldest = one
                break
        else:
            oldest = self.sessions[0]
        return oldest.abort()


cdef class LocalDispatch(Dispatch):
    cdef Peer new_exchange(self, Stream half):
        cdef Request request = Request.__new__(Request)
        request.server = self.server
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
        if self.half is None:
            return
        head = take_head()
        try:
            self.fill(head, status, headers, body)
            self.half.send_head(head)
        finally:
            drop_head(head)
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
        head.end = head.content_length == 0
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
        if body:
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
        self.half = half
        self.method = head.method.ptr[:head.method.len]
        self.path = head.path.ptr[:head.path.len]
        self.authority = head.authority.ptr[:head.authority.len]
        self.headers = fields_of(head)
        half.release_head()
        return self.ask() if head.end else 0

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
