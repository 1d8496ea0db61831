# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What a span says of a request is encoded while its head is there, the rest when it ends."""

from cpython.ref cimport PyObject
from libc.string cimport memchr, memcpy, strlen
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from linkerd2_py._ext.core.clock cimport SECOND, now_ns
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_SPAN, born, gone
from linkerd2_py._ext.core.random cimport random_below
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.exchange cimport Exchange
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, H_CONTENT_TYPE, H_OTHER, HTTP_10, Field, Head, equals_lower,
)
from linkerd2_py._ext.exchange.observe cimport END_BROKEN, End
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.observers.escape cimport put_decimal
from linkerd2_py._ext.observers.trace_context cimport SPAN_BYTES, TRACE_BYTES, read_trace, write_span

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* ob) noexcept

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void* to, size_t n, unsigned int flags)

# Numbers of OTLP.
cdef enum:
    SPANS_OF_SCOPE = 2
    TRACE_ID = 1
    SPAN_ID = 2
    PARENT_ID = 4
    NAME = 5
    KIND = 6
    START = 7
    END = 8
    ATTRIBUTE = 9
    STATUS = 15
    FLAGS = 16
    KEY = 1
    VALUE = 2
    STRING = 1
    STATUS_CODE = 3
    STATUS_ERROR = 2
    KIND_SERVER = 2
    KIND_CLIENT = 3
    # Sampled, and it is known whether the parent is somebody else's.
    SAMPLED = 0x101
    PARENT_IS_REMOTE = 0x200

cdef enum:
    MAX_RESTING = 64           # recycled ones kept: what a burst leaves behind at most
    # Of what a client sends, so that the attributes of no span are too many; as many as three times when
    # escaped.
    URL_MOST = 1024
    TEXT_MOST = 256
    SCHEME_MOST = 16
    ABOUT_MOST = 32768
    ABOUT_KEPT = 4096          # of a recycled one
    LEAST_ERROR = 500

cdef Shelf resting


cdef inline uint64_t wide(uint64_t salt) noexcept nogil:
    return (random_below(<uint64_t> 1 << 32) << 32 | random_below(<uint64_t> 1 << 32)) ^ salt


cdef int put_fixed64(Wire wire, int field, uint64_t value) noexcept:
    cdef unsigned char[8] big
    cdef int i
    for i in range(8):
        big[i] = <unsigned char> (value >> 8 * (7 - i))
    return wire.fixed64(field, big)


cdef int put_attribute(Wire wire, const char* key, const char* p, size_t n) noexcept:
    cdef size_t attribute = wire.begin(ATTRIBUTE)
    cdef size_t value
    wire.text(KEY, key, strlen(key))
    value = wire.begin(VALUE)
    wire.printable(STRING, p, n)
    wire.end(value)
    return wire.end(attribute)


cdef int put_number(Wire wire, const char* key, uint64_t number) noexcept:
    """All of Linkerd's attributes are text."""
    cdef char[20] text
    return put_attribute(wire, key, text, put_decimal(text, number))


cdef class Spans(Seeker):

    def __init__(self, Loop loop not None, Registry registry not None, *, size_t room=262144):
        self.loop = loop
        self.wire = Wire.__new__(Wire)
        self.wire.most = room
        self.wanting = 1
        if getrandom(&self.salt, sizeof(self.salt), 0) != sizeof(self.salt):
            self.salt = <uint64_t> now_ns()
        self.lost = registry.counter(
            "opentelemetry_spans_lost_total",
            "Spans that were not sent because their collector does not take them, or not fast enough.",
        )

    def take(self):
        cdef Py_ssize_t waiting = self.waiting
        cdef bytes taken = self.wire.start[:self.wire.size] if waiting else b""
        self.wire.clear()
        self.waiting = 0
        return waiting, taken

    cdef int new_span_id(self, unsigned char* to) noexcept:
        cdef uint64_t number = wide(self.salt)
        if number == 0:
            number = 1
        memcpy(to, &number, SPAN_BYTES)
        return 0

    cdef tuple seek(self, Peer exchange, Head head):
        cdef Traced traced
        cdef Trace trace
        if not read_trace(head, &trace) or not trace.sampled:
            return None
        traced = take_traced()
        traced.trace = trace
        traced.note(self, <Exchange> exchange, head)
        return traced.alone

    cdef int put(self, Traced traced, Exchange exchange, bint failed) except -1:
        cdef Wire wire = self.wire
        cdef size_t at = wire.size
        cdef Py_ssize_t count = 2 if traced.sent else 1
        cdef int64_t ended = traced.wall + now_ns() - traced.started
        traced.put_span(wire, exchange, False, traced.wall, ended, failed)
        if traced.sent:
            traced.put_span(
                wire, exchange, True, traced.wall + exchange.dispatched - traced.started, ended, failed,
            )
        if wire.full:
            wire.take_back(at)
            self.lost.count += count
            return 0
        self.waiting += count
        return self.loop.defer(self) if at == 0 else 0

    cdef int on_deferred(self) except -1:
        if self.on_first is not None and self.waiting:
            self.on_first()
        return 0


cdef Traced take_traced():
    """A recycled one that no exchange refers to any more, or a new one."""
    cdef Traced traced
    if resting.count:
        traced = <Traced> shelf_take(&resting)
        # By its own tuple, and by us.
        if Py_REFCNT(<PyObject*> traced) == 2:
            return traced
    traced = Traced.__new__(Traced)
    traced.alone = (traced,)
    traced.about = Wire.__new__(Wire)
    traced.about.most = ABOUT_MOST
    return traced


cdef class Traced(Observer):

    cdef int note(self, Spans spans, Exchange exchange, Head head) except -1:
        cdef timespec wall
        self.spans = spans
        self.started = exchange.started
        clock_gettime(CLOCK_REALTIME, &wall)
        self.wall = wall.tv_sec * <int64_t> SECOND + wall.tv_nsec - (now_ns() - self.started)
        if L5D_DEBUG:
            born(LIVE_SPAN)
        spans.new_span_id(self.server_id)
        spans.new_span_id(self.client_id)
        self.sent = exchange.client is not None
        self.describe(exchange, head)
        return write_span(head, &self.trace, self.client_id)

    cdef int describe(self, Exchange exchange, Head head) except -1:
        cdef Wire about = self.about
        cdef Field* kind = head.find(H_CONTENT_TYPE)
        cdef Span path = head.path if head.path.len else head.authority
        cdef const char* mark = <const char*> memchr(path.ptr, c"?", path.len) if path.len else NULL
        cdef size_t path_len = path.len if mark == NULL else <size_t> (mark - path.ptr)
        about.clear()
        about.printable(NAME, path.ptr, min(path_len, <size_t> URL_MOST))
        put_attribute(
            about, "direction", "outbound" if exchange.router.outbound else "inbound",
            8 if exchange.router.outbound else 7,
        )
        put_attribute(about, "http.request.method", head.method.ptr, min(head.method.len, <size_t> TEXT_MOST))
        put_attribute(about, "url.path", path.ptr, min(path_len, <size_t> URL_MOST))
        if mark != NULL:
            put_attribute(about, "url.query", mark + 1, min(path.len - path_len - 1, <size_t> URL_MOST))
        put_url(about, head)
        put_attribute(about, "network.transport", "tcp", 3)
        put_server(about, head)
        put_agent(about, head)
        if head.content_length >= 0:
            put_number(about, "http.request.header.content-length", head.content_length)
        if kind != NULL:
            put_attribute(
                about, "http.request.header.content-type", kind.value,
                min(<size_t> kind.value_len, <size_t> TEXT_MOST),
            )
        if exchange.translation.carried_in:
            put_attribute(
                about, "http.request.header.l5d-orig-proto",
                "HTTP/1.0" if head.version == HTTP_10 else "HTTP/1.1", 8,
            )
        return 0

    cdef int on_end(self, Peer peer, End why) except -1:
        cdef Exchange exchange = <Exchange> peer
        cdef bint failed = why == END_BROKEN or exchange.status >= LEAST_ERROR
        try:
            self.spans.put(self, exchange, failed or exchange.grpc_status > 0)
        finally:
            self.forget()
        return 0

    cdef int put_span(
        self, Wire wire, Exchange exchange, bint is_client, int64_t begun, int64_t ended, bint failed
    ) except -1:
        cdef size_t span = wire.begin(SPANS_OF_SCOPE)
        cdef size_t status
        cdef unsigned char* own = self.server_id
        cdef unsigned char* parent = self.trace.parent_id
        if is_client:
            own = self.client_id
            parent = self.server_id
        wire.text(TRACE_ID, <const char*> self.trace.trace_id, TRACE_BYTES)
        wire.text(SPAN_ID, <const char*> own, SPAN_BYTES)
        wire.text(PARENT_ID, <const char*> parent, SPAN_BYTES)
        wire.number(KIND, KIND_CLIENT if is_client else KIND_SERVER)
        put_fixed64(wire, START, begun)
        put_fixed64(wire, END, max(begun, ended))
        wire.raw(self.about.start, self.about.size)
        if exchange.status:
            put_number(wire, "http.response.status_code", exchange.status)
        if failed:
            status = wire.begin(STATUS)
            wire.number(STATUS_CODE, STATUS_ERROR)
            wire.end(status)
        wire.fixed32(FLAGS, SAMPLED if is_client else SAMPLED | PARENT_IS_REMOTE)
        return wire.end(span)

    cdef int on_broken(self) except -1:
        """Its spans are missing."""
        return 0

    cdef int forget(self) noexcept:
        self.spans = None
        self.about.clear()
        if self.about.room > ABOUT_KEPT:
            self.about.free_all()
        if L5D_DEBUG:
            gone(LIVE_SPAN)
        if not shelf_keep(&resting, self, MAX_RESTING):
            self.alone = None
        return 0


cdef int put_url(Wire about, Head head) except -1:
    """The whole, and what it begins with."""
    cdef const char* scheme = "http"
    cdef size_t scheme_len = 4
    cdef char[2048] url
    cdef size_t authority = min(head.authority.len, <size_t> TEXT_MOST)
    cdef size_t path = min(head.path.len, <size_t> URL_MOST)
    cdef char* to = url
    if head.scheme.len:
        scheme, scheme_len = head.scheme.ptr, min(head.scheme.len, <size_t> SCHEME_MOST)
    put_attribute(about, "url.scheme", scheme, scheme_len)
    memcpy(to, scheme, scheme_len)
    memcpy(to + scheme_len, b"://", 3)
    to += scheme_len + 3
    memcpy(to, head.authority.ptr, authority)
    memcpy(to + authority, head.path.ptr, path)
    return put_attribute(about, "url.full", url, to + authority + path - url)


cdef int put_server(Wire about, Head head) except -1:
    """Host and port that the client named."""
    cdef const char* p = head.authority.ptr
    cdef size_t n = min(head.authority.len, <size_t> TEXT_MOST)
    cdef size_t i, host = n
    for i in range(n):
        if p[n - 1 - i] == c"]":
            break
        if p[n - 1 - i] == c":":
            host = n - 1 - i
            break
    if host:
        put_attribute(about, "server.address", p, host)
    if host + 1 < n:
        put_attribute(about, "server.port", p + host + 1, n - host - 1)
    return 0


cdef int put_agent(Wire about, Head head) except -1:
    cdef Field* field
    cdef int i
    for i in range(head.count):
        field = &head.fields[i]
        if field.id != H_OTHER or field.flags & FIELD_DROPPED or field.name_len != 10:
            continue
        if equals_lower(field.name, field.name_len, "user-agent", 10):
            return put_attribute(
                about, "user_agent.original", field.value, min(<size_t> field.value_len, <size_t> TEXT_MOST)
            )
    return 0
