# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A request's head is gone when its response comes: what its line says of it is copied before."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy, strlen
from libc.time cimport gmtime_r, strftime, time_t, tm
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from linkerd2_py._ext.core.buffer cimport BUFFER_TINY, Buffer, give_back, lease, lease_tiny
from linkerd2_py._ext.core.clock cimport SECOND, now_ns
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_ENTRY, born, gone
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.exchange cimport Exchange
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, H_HOST, H_OTHER, HTTP_10, HTTP_2, METHOD_CONNECT, Field, Head, equals_lower,
)
from linkerd2_py._ext.exchange.observe cimport END_FAILED, END_TUNNELLED, End
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.observers.escape cimport STYLE_APACHE, STYLE_JSON, put_decimal, put_escaped
from linkerd2_py._ext.route.router cimport ConnectionRouter
from linkerd2_py._ext.route.whence cimport transport_of

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* ob) noexcept

# Bytes of a line that each part may take, escaped. With the names and numbers beside them, and IDENTITY_ROOM
# and PEER_ROOM, they stay below LINE_MOST.
cdef size_t* room_of = [64, 2048, 256, 512, 128]
# What is kept of that, as find_parts finds it: one byte more than fits says that it was cut.
cdef size_t* kept_most = [65, 17, 4, 257, 2049, 257, 513, 129]

cdef enum:
    MAX_RESTING = 256          # recycled entries kept: what a burst leaves behind at most
    IDENTITY_ROOM = 300
    PEER_ROOM = 80
    AGENT_LEN = 10
    TRACE_LEN = 12
    AMAZON_LEN = 15

cdef Shelf resting


cdef class AccessLog(Seeker):

    def __init__(self, Loop loop not None, Lines lines not None, *, bint json):
        self.loop = loop
        self.lines = lines
        self.json = json
        self.second = -1
        self.wanting = 1

    cdef tuple seek(self, Peer exchange, Head head):
        cdef Entry entry = take_entry()
        entry.note(self, <Exchange> exchange, head)
        return entry.alone

    cdef size_t put_time(self, char* at, int64_t wall_ns) noexcept:
        """RFC 3339, in UTC."""
        cdef int64_t nanoseconds = wall_ns % SECOND
        cdef time_t second = <time_t> (wall_ns // SECOND)
        cdef tm parts
        cdef int i
        if second != self.second:
            gmtime_r(&second, &parts)
            strftime(self.date, sizeof(self.date), "%Y-%m-%dT%H:%M:%S", &parts)
            self.second = second
        memcpy(at, self.date, DATE_BYTES)
        at[DATE_BYTES] = c"."
        for i in range(9):
            at[DATE_BYTES + 9 - i] = <char> (c"0" + nanoseconds % 10)
            nanoseconds //= 10
        at[DATE_BYTES + 10] = c"Z"
        return DATE_BYTES + 11


cdef Entry take_entry():
    """A recycled entry that no exchange refers to any more, or a new one."""
    cdef Entry entry
    if resting.count:
        entry = <Entry> shelf_take(&resting)
        # By its own tuple, and by us.
        if Py_REFCNT(<PyObject*> entry) == 2:
            return entry
    entry = Entry.__new__(Entry)
    entry.alone = (entry,)
    return entry


cdef class Entry(Observer):

    cdef int note(self, AccessLog log, Exchange exchange, Head head) except -1:
        cdef Transport transport = transport_of(exchange.server)
        cdef timespec wall
        cdef int64_t now = now_ns()
        self.log = log
        self.started = exchange.started
        self.processing = now - exchange.started
        clock_gettime(CLOCK_REALTIME, &wall)
        self.wall = wall.tv_sec * <int64_t> SECOND + wall.tv_nsec - self.processing
        self.peer = None if transport is None else transport.peer_address()
        self.identity = (<ConnectionRouter> exchange.router).client.raw_identity
        # What is spoken with this client: HTTP/1 that a peer proxy carries in HTTP/2 is HTTP/2, as in
        # Linkerd's.
        self.version = HTTP_2 if exchange.server.version == HTTP_2 else head.version
        self.request_bytes = head.content_length
        if L5D_DEBUG:
            born(LIVE_ENTRY)
        return self.keep(head)

    cdef int keep(self, Head head) except -1:
        cdef Span[8] parts
        cdef size_t i, total = 0
        cdef char* to
        find_parts(head, self.version, parts)
        for i in range(8):
            parts[i].len = min(parts[i].len, kept_most[i])
            total += parts[i].len
        self.kept = lease_tiny() if total <= BUFFER_TINY else lease(total)
        to = self.kept.mem
        for i in range(8):
            if i <= 1 or i >= 5:
                # Scheme, what stands between, authority and path are one part.
                self.at[i if i <= 1 else i - 3] = to - self.kept.mem
            if parts[i].len:
                memcpy(to, parts[i].ptr, parts[i].len)
                to += parts[i].len
        self.at[PARTS] = total
        return 0

    cdef int on_response(self, Peer exchange, Head head) except -1:
        # What has passed since this turn began was spent here, too.
        self.processing += now_ns() - self.log.loop.now
        return self.write(head.status, head.content_length)

    cdef int on_end(self, Peer peer, End why) except -1:
        cdef Exchange exchange = <Exchange> peer
        if self.kept is not None:
            if why != END_FAILED and why != END_TUNNELLED:
                self.write(0, -1)
            else:
                # In the proxy's own name; a client of gRPC is told 200 all the same.
                self.write(200 if exchange.translation.is_grpc else exchange.status, -1)
        return self.forget()

    cdef int on_broken(self) except -1:
        """Its line is not written."""
        return 0

    cdef int forget(self) noexcept:
        self.log = None
        self.peer = None
        self.identity = None
        give_back(self.kept)
        self.kept = None
        if L5D_DEBUG:
            gone(LIVE_ENTRY)
        if not shelf_keep(&resting, self, MAX_RESTING):
            self.alone = None
        return 0

    cdef int write(self, int status, int64_t response_bytes) except -1:
        cdef Lines lines = self.log.lines
        cdef char* start = lines.begin()
        cdef char* to
        if start != NULL:
            if self.log.json:
                to = self.put_json(start, status, now_ns() - self.started, response_bytes)
            else:
                to = self.put_apache(start, status)
            lines.end(to - start)
        give_back(self.kept)
        self.kept = None
        return 0

    cdef char* put_apache(self, char* to, int status) noexcept:
        to = self.put_peer(to)
        to = self.put_identity(put(to, " "))
        to = put(to, " - [")
        to += self.log.put_time(to, self.wall)
        to = self.put_part(to, '] "', PART_METHOD, STYLE_APACHE)
        to = self.put_part(to, " ", PART_URI, STYLE_APACHE)
        to = put(put(to, " "), version_text(self.version))
        to = put(to, '" ')
        if status:
            to += put_decimal(to, status)
        else:
            to = put(to, "-")
        return put(to, "\n")

    cdef char* put_json(self, char* to, int status, int64_t total, int64_t response_bytes) noexcept:
        """The names in their alphabetical order, which is Linkerd's."""
        to = self.put_peer(put(to, '{"client.addr":"'))
        to = self.put_identity(put(to, '","client.id":"'))
        to = self.put_part(to, '","host":"', PART_HOST, STYLE_JSON)
        to = self.put_part(to, '","method":"', PART_METHOD, STYLE_JSON)
        to = put(to, '","processing_ns":"')
        to += put_decimal(to, self.processing)
        to = put(to, '","request_bytes":"')
        if self.request_bytes >= 0:
            to += put_decimal(to, self.request_bytes)
        if response_bytes >= 0:
            to = put(to, '","response_bytes":"')
            to += put_decimal(to, response_bytes)
        to = put(to, '",')
        if status:
            to = put(to, '"status":')
            to += put_decimal(to, status)
            to = put(to, ",")
        to = put(to, '"timestamp":"')
        to += self.log.put_time(to, self.wall)
        to = put(to, '","total_ns":"')
        to += put_decimal(to, total)
        to = self.put_part(to, '","trace_id":"', PART_TRACE, STYLE_JSON)
        to = self.put_part(to, '","uri":"', PART_URI, STYLE_JSON)
        to = self.put_part(to, '","user_agent":"', PART_AGENT, STYLE_JSON)
        to = put(put(to, '","version":"'), version_text(self.version))
        return put(to, '"}\n')

    cdef char* put_part(self, char* to, const char* name, int part, Style style) noexcept:
        cdef const char* p = self.kept.mem + self.at[part]
        to = put(to, name)
        return to + put_escaped(to, room_of[part], p, self.at[part + 1] - self.at[part], style)

    cdef char* put_identity(self, char* to) noexcept:
        if self.identity is None or not PyBytes_GET_SIZE(self.identity):
            return put(to, "-")
        return to + put_escaped(
            to, IDENTITY_ROOM, PyBytes_AS_STRING(self.identity), PyBytes_GET_SIZE(self.identity),
            STYLE_JSON if self.log.json else STYLE_APACHE,
        )

    cdef char* put_peer(self, char* to) noexcept:
        """An address has nothing in it that must be escaped."""
        cdef Py_ssize_t length = 0
        cdef const char* host
        cdef bint is_v6
        if self.peer is None:
            return put(to, "-")
        host = PyUnicode_AsUTF8AndSize(self.peer.host, &length)
        is_v6 = self.peer.raw_len > 16
        if is_v6:
            to = put(to, "[")
        memcpy(to, host, length)
        to = put(to + length, "]:" if is_v6 else ":")
        return to + put_decimal(to, self.peer.port)


cdef inline char* put(char* to, const char* text) noexcept nogil:
    cdef size_t n = strlen(text)
    memcpy(to, text, n)
    return to + n


cdef const char* version_text(Version version) noexcept nogil:
    if version == HTTP_2:
        return "HTTP/2.0"
    return "HTTP/1.0" if version == HTTP_10 else "HTTP/1.1"


cdef Span literal(const char* text) noexcept nogil:
    cdef Span span
    span.ptr = text
    span.len = strlen(text)
    return span


cdef int find_parts(Head head, Version version, Span* parts) noexcept:
    """Method; the four parts of an URI; host; user agent; trace id. In HTTP/1 the URI is what was sent."""
    cdef Field* field = head.find(H_HOST)
    cdef Span nothing = literal("")
    parts[0] = head.method
    parts[1] = parts[2] = parts[3] = parts[4] = nothing
    if version != HTTP_2:
        parts[4] = head.target
    elif head.method_id == METHOD_CONNECT:
        parts[3] = head.authority
    else:
        parts[1] = head.scheme if head.scheme.len else literal("http")
        parts[2] = literal("://")
        parts[3] = head.authority
        parts[4] = head.path
    parts[5] = head.authority
    if field != NULL:
        parts[5].ptr = field.value
        parts[5].len = field.value_len
    parts[6] = parts[7] = nothing
    return find_fields(head, &parts[6], &parts[7])


cdef int find_fields(Head head, Span* agent, Span* trace) noexcept:
    """A trace is named by x-b3-traceid, else by x-request-id, else by x-amzn-trace-id."""
    cdef int i, rank, best = 0
    cdef Field* field
    for i in range(head.count):
        field = &head.fields[i]
        if field.id != H_OTHER or field.flags & FIELD_DROPPED:
            continue
        if field.name_len == AGENT_LEN:
            if agent.len == 0 and equals_lower(field.name, field.name_len, "user-agent", AGENT_LEN):
                agent.ptr, agent.len = field.value, field.value_len
        elif field.name_len == TRACE_LEN or field.name_len == AMAZON_LEN:
            rank = trace_rank(field)
            if rank > best:
                best = rank
                trace.ptr, trace.len = field.value, field.value_len
    return 0


cdef int trace_rank(const Field* field) noexcept nogil:
    if equals_lower(field.name, field.name_len, "x-b3-traceid", TRACE_LEN):
        return 3
    if equals_lower(field.name, field.name_len, "x-request-id", TRACE_LEN):
        return 2
    return 1 if equals_lower(field.name, field.name_len, "x-amzn-trace-id", AMAZON_LEN) else 0
