# cython: language_level=3
"""Messages leave in one copy for each stream, framed once for all of them; nothing of Python is made on the
way."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_CALL, born, gone
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.exchange.head cimport H_OTHER, HTTP_2, drop_head, take_head
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.route.fields cimport fields_of
from linkerd2_py._ext.route.grpc_fields cimport (
    GRPC_DEADLINE_EXCEEDED,
    GRPC_INTERNAL,
    GRPC_OK,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_STATUSES,
    GRPC_UNIMPLEMENTED,
    is_compressed,
    put_content_type,
    put_status,
    refusal_of,
    timeout_of,
)

cdef enum:
    PREFIX = 5                   # of a message: whether it is compressed, and its length in 32 bits


cdef inline void put_prefix(char* at, size_t length) noexcept nogil:
    at[0] = 0
    at[1] = <char> (length >> 24)
    at[2] = <char> (length >> 16)
    at[3] = <char> (length >> 8)
    at[4] = <char> length


cdef inline uint32_t length_at(const unsigned char* prefix) noexcept nogil:
    return (
        <uint32_t> prefix[1] << 24 | <uint32_t> prefix[2] << 16 | <uint32_t> prefix[3] << 8
        | <uint32_t> prefix[4]
    )


cdef bytes framed(object messages):
    """All of them as they stand on the wire."""
    cdef bytes message, wire
    cdef size_t length = 0
    cdef char* at
    for message in messages:
        length += PREFIX + PyBytes_GET_SIZE(message)
    wire = PyBytes_FromStringAndSize(NULL, length)
    at = PyBytes_AS_STRING(wire)
    for message in messages:
        length = PyBytes_GET_SIZE(message)
        put_prefix(at, length)
        memcpy(at + PREFIX, PyBytes_AS_STRING(message), length)
        at += PREFIX + length
    return wire


def send_all(object calls not None, object messages not None):
    cdef bytes wire = framed(messages)
    cdef Call call
    slow = []
    for call in calls:
        if call.half is None:
            continue
        # Frames know when they were queued; the clock is not the loop's outside its own turns.
        call.calls.loop.now = now_ns()
        if not call.put(PyBytes_AS_STRING(wire), PyBytes_GET_SIZE(wire)):
            slow.append(call)
    return slow


cdef class Calls(Dispatch):
    cdef Call new_call(self, Address peer, str identity):
        cdef Call call = Call.__new__(Call)
        call.calls = self
        call.peer = peer
        call.identity = identity
        self.open += 1
        return call


cdef class Call(Peer):
    def __cinit__(self):
        self.chunks = []
        if L5D_DEBUG:
            born(LIVE_CALL)

    def __dealloc__(self):
        if L5D_DEBUG:
            gone(LIVE_CALL)

    # ---- from the codec

    cdef int on_request_head(self, Stream half, Head head) except -1:
        cdef int64_t timeout_ns = timeout_of(head)
        cdef int refusal = refusal_of(head)
        cdef bint end = head.end
        self.half = <Http2Half> half
        self.path = head.path.ptr[:head.path.len]
        self.headers = fields_of(head)
        self.compressed = is_compressed(head)
        half.release_head()
        if refusal:
            return self.refuse_in_http(refusal)
        if self.calls.open > self.calls.calls_max:
            return self.end(GRPC_RESOURCE_EXHAUSTED, b"Concurrent RPC limit exceeded!", ())
        if timeout_ns < 0:
            return self.end(GRPC_INTERNAL, b"malformed grpc-timeout", ())
        if timeout_ns:
            self.deadline_ns = self.calls.loop.now + timeout_ns
        self.wait(self.calls.request_timeout_ns)
        return self.judge() if end else 0

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        if self.half is None:
            return 0
        if n:
            self.take(p, n)
        return self.judge() if end and self.half is not None else 0

    cdef int on_request_trailers(self, Head trailers) except -1:
        return 0 if self.half is None else self.judge()

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        return self.lost()

    cdef int on_timer(self, Timer timer) except -1:
        if self.half is None:
            return 0
        self.end(GRPC_DEADLINE_EXCEEDED, b"Deadline Exceeded", ())
        return self.lost()

    cdef int on_broken(self) except -1:
        """Who was to answer it has raised."""
        self.end(GRPC_INTERNAL, b"the server failed", ())
        return self.lost()

    # ---- the request

    cdef int take(self, const char* p, size_t n) except -1:
        """No more than may be asked is kept, and no more than that of what follows it."""
        cdef size_t limit = self.calls.request_bytes
        cdef bytes begins
        cdef size_t length
        self.chunks.append(p[:n])
        self.size += n
        if self.size < PREFIX:
            return 0
        begins = self.chunks[0]
        if len(begins) < PREFIX:
            begins = b"".join(self.chunks)
            self.chunks = [begins]
        length = length_at(<const unsigned char*> PyBytes_AS_STRING(begins))
        if length > limit:
            words = b"Received message larger than max (%d vs. %d)" % (length, limit)
            return self.end(GRPC_RESOURCE_EXHAUSTED, words, ())
        if self.size > PREFIX + length:
            return self.end(GRPC_UNIMPLEMENTED, b"a call has one request message", ())
        return 0

    cdef int judge(self) except -1:
        cdef bytes whole = b"".join(self.chunks)
        cdef const unsigned char* prefix = <const unsigned char*> PyBytes_AS_STRING(whole)
        self.chunks = None
        if self.size == 0:
            return self.end(GRPC_UNIMPLEMENTED, b"a call has one request message", ())
        if self.size < PREFIX or self.size != PREFIX + length_at(prefix):
            return self.end(GRPC_INTERNAL, b"the request message is cut short", ())
        if prefix[0] == 0:
            return self.ask(whole[PREFIX:])
        if prefix[0] == 1 and self.compressed:
            accepted = ((b"grpc-accept-encoding", b"identity"),)
            return self.end(GRPC_UNIMPLEMENTED, b"messages that are compressed are not read here", accepted)
        return self.end(GRPC_INTERNAL, b"the flag of the request message makes no sense", ())

    cdef int ask(self, bytes request) except -1:
        path, headers = self.path, self.headers
        self.path = self.headers = None
        self.calls.loop.disarm(self.timer)
        if self.deadline_ns:
            self.wait(self.deadline_ns - self.calls.loop.now)
        else:
            self.timer = None
        try:
            self.calls.on_call(self, path, headers, request)
        except Exception as error:
            # One call's failure is not its connection's.
            self.calls.loop.report(error, self)
            self.on_broken()
        return 0

    cdef int wait(self, int64_t timeout_ns) except -1:
        """The request is to be here within that time, and the answer before the caller's deadline."""
        if self.timer is None:
            self.timer = Timer(self, 0)
        if self.deadline_ns:
            timeout_ns = min(timeout_ns, self.deadline_ns - self.calls.loop.now)
        return self.calls.loop.arm(self.timer, self, max(timeout_ns, <int64_t> 0))

    # ---- the answer

    cdef int refuse_in_http(self, int status) except -1:
        """What is no call is answered in the words of HTTP."""
        cdef Head head = take_head()
        try:
            head.version = HTTP_2
            head.status = status
            head.end = True
            self.half.send_head(head)
        finally:
            drop_head(head)
        return self.let_go()

    cdef int answer(self, Head head) except -1:
        self.head_sent = True
        head.version = HTTP_2
        head.status = 200
        put_content_type(head)
        return 0

    cdef int end(self, int status, bytes words, object trailers) except -1:
        cdef bint begun = self.head_sent
        cdef Head head
        cdef tuple more = tuple(trailers)
        if self.half is None:
            return 0
        head = take_head()
        try:
            head.end = True
            if not begun:
                self.answer(head)
            put_status(head, status, words)
            put_fields(head, more)
            if begun:
                self.half.send_trailers(head)
            else:
                self.half.send_head(head)
        finally:
            drop_head(head)
        return self.let_go()

    cdef bint put(self, const char* p, size_t n) except -1:
        cdef Http2Half half = self.half
        if half.queue.size and half.queue.size + n > self.calls.queue_bytes:
            self.calls.overflowed += 1
            return False
        if not self.head_sent:
            self.begin(())
        if n:
            half.send_body(p, n, False)
        return True

    cdef int let_go(self) except -1:
        if self.half is None:
            return 0
        self.half = None
        self.path = self.headers = self.chunks = None
        if self.timer is not None:
            self.calls.loop.disarm(self.timer)
            self.timer = None
        self.calls.open -= 1
        return 0

    cdef int lost(self) except -1:
        tell, self.on_gone = self.on_gone, None
        self.let_go()
        if tell is None:
            return 0
        try:
            tell()
        except Exception as error:
            self.calls.loop.report(error, self)
        return 0

    # ---- from Python

    @property
    def over(self):
        return self.half is None

    @property
    def queued(self):
        return 0 if self.half is None else self.half.queue.size

    @property
    def remaining_ns(self):
        return max(0, self.deadline_ns - now_ns()) if self.deadline_ns else None

    def begin(self, metadata=()):
        cdef tuple fields = tuple(metadata)
        cdef Head head
        if self.half is None or self.head_sent:
            return
        head = take_head()
        try:
            self.answer(head)
            put_fields(head, fields)
            self.half.send_head(head)
        finally:
            drop_head(head)

    def send(self, object messages not None):
        cdef bytes wire
        if self.half is None:
            return True
        wire = framed(messages)
        self.calls.loop.now = now_ns()
        return self.put(PyBytes_AS_STRING(wire), PyBytes_GET_SIZE(wire))

    def finish(self, int status=GRPC_OK, str words="", trailers=()):
        if not 0 <= status < GRPC_STATUSES:
            raise ValueError(f"{status} is no status of gRPC")
        self.calls.loop.now = now_ns()
        self.on_gone = None
        self.end(status, words.encode("utf-8", "surrogatepass"), trailers)


cdef int put_fields(Head head, tuple fields) except -1:
    """The caller holds them until the head was sent."""
    cdef bytes name, value
    for name, value in fields:
        head.put(name, len(name), value, len(value), H_OTHER)
    return 0
