# cython: language_level=3
"""Python doors to the HTTP/2 codec, for tests and benchmarks only.

Sessions on given sockets, peers that record and are driven by hand, and the parts by themselves.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, FIELD_SENSITIVE, HTTP_2, HTTP_11, Head, drop_head, field_id, method_id, parse_length,
    take_head,
)
from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Dispatch, Peer, Stream
from linkerd2_py._ext.http2.client cimport Http2Client
from linkerd2_py._ext.http2.fields cimport (
    pack_fields, request_fields, response_fields, shared_fields, trailer_fields,
)
from linkerd2_py._ext.http2.half cimport Http2Half
from linkerd2_py._ext.http2.huffman cimport huffman_decode
from linkerd2_py._ext.http2.long_strings cimport (
    GIVEN_UP, BlockScan, LongString, free_scan, long_string, new_scan, scan_bytes, scan_frame,
)
from linkerd2_py._ext.http2.meter cimport Budget, FrameMeter, earn, meter_frames, spend
from linkerd2_py._ext.http2.nghttp2 cimport (
    NGHTTP2_NV_FLAG_NO_INDEX, nghttp2_nv, nghttp2_session_get_effective_local_window_size,
    nghttp2_session_get_effective_recv_data_length,
)
from linkerd2_py._ext.http2.server cimport Http2Server
from linkerd2_py._ext.http2.session cimport Http2Session
from linkerd2_py._ext.http2.stream_table cimport StreamTable
from linkerd2_py._ext.io.listener cimport Accepting, Listener
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Transport, accepted

FAULTS = (
    "none", "refused", "unreachable", "connect_timeout", "reset", "timeout", "eof", "protocol", "idle",
    "no_fds", "no_memory", "local", "io",
)


cdef bytes text(const char* p, size_t n):
    return p[:n] if n else b""


cdef list fields_of(Head head):
    cdef int i
    cdef list fields = []
    for i in range(head.count):
        if not head.fields[i].flags & FIELD_DROPPED:
            fields.append((text(head.fields[i].name, head.fields[i].name_len),
                text(head.fields[i].value, head.fields[i].value_len)))
    return fields


cdef dict request_of(Head head):
    return {
        "method": text(head.method.ptr, head.method.len),
        "scheme": text(head.scheme.ptr, head.scheme.len),
        "authority": text(head.authority.ptr, head.authority.len),
        "path": text(head.path.ptr, head.path.len),
        "fields": fields_of(head),
        "content_length": head.content_length,
        "expect_continue": bool(head.expect_continue),
        "is_grpc": bool(head.is_grpc),
        "end": bool(head.end),
    }


cdef dict response_of(Head head):
    return {"status": head.status, "fields": fields_of(head), "content_length": head.content_length,
        "end": bool(head.end)}


cdef class Kept:
    """Keeps the bytes alive that a head under construction points into."""
    cdef Head head
    cdef list pieces

    cdef int ask(self, bytes method, bytes path, bytes authority, bytes scheme) except -1:
        cdef Head head = self.head
        self.pieces.append((method, path, authority, scheme))
        head.version = HTTP_2
        head.method.ptr, head.method.len = method, len(method)
        head.method_id = method_id(method, len(method))
        head.path.ptr, head.path.len = path, len(path)
        head.authority.ptr, head.authority.len = authority, len(authority)
        head.scheme.ptr, head.scheme.len = scheme, len(scheme)
        return 0

    cdef int add(self, bytes name, bytes value) except -1:
        self.pieces.append((name, value))
        self.head.add(name, len(name), value, len(value), field_id(name, len(name)), 0)
        if field_id(name, len(name)) == field_id(b"content-length", 14):
            self.head.content_length = parse_length(value, len(value))
        return 0


cdef Kept build(list fields, bint end):
    cdef Kept kept = Kept.__new__(Kept)
    kept.head = take_head()
    kept.pieces = []
    kept.head.version = HTTP_11
    kept.head.end = end
    for name, value in fields:
        kept.add(name, value)
    return kept


cdef class RecorderPeer(Peer):
    """Records what its half reports in `events`."""
    cdef Stream half
    cdef public list events
    cdef public object on_event         # called with (peer, name) after each event, or None
    cdef public bytes body
    cdef public bint ended

    def __init__(self, on_event=None):
        self.events = []
        self.body = b""
        self.on_event = on_event

    cdef int note(self, tuple event) except -1:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(self, event[0])
        return 0

    cdef int on_request_head(self, Stream half, Head head) except -1:
        self.half = half
        self.ended = head.end
        return self.note(("head", request_of(head)))

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        return self.take_body(p, n, end)

    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1:
        return self.take_body(p, n, end)

    cdef int take_body(self, const char* p, size_t n, bint end) except -1:
        self.body += text(p, n)
        self.ended = end
        return self.note(("end", len(self.body)) if end else ("body", n))

    cdef int on_request_trailers(self, Head trailers) except -1:
        self.ended = True
        return self.note(("trailers", fields_of(trailers)))

    cdef int on_response_trailers(self, Head trailers) except -1:
        self.ended = True
        return self.note(("trailers", fields_of(trailers)))

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        return self.note(("reset", FAULTS[<int> kind], code))

    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1:
        return self.note(("reset", FAULTS[<int> kind], code, bool(refused)))

    cdef int on_response_room(self) except -1:
        return self.note(("room",))

    cdef int on_request_room(self) except -1:
        return self.note(("room",))

    cdef int on_interim_head(self, Head head) except -1:
        return self.note(("interim", response_of(head)))

    cdef int on_response_head(self, Head head) except -1:
        self.ended = head.end
        return self.note(("head", response_of(head)))

    def names(self):
        return [event[0] for event in self.events]

    def respond(self, int status, object fields=(), *, bint end=False):
        cdef Kept kept = build(list(fields), end)
        kept.head.status = status
        outcome = self.half.send_head(kept.head)
        drop_head(kept.head)
        return outcome

    def interim(self, int status, object fields=()):
        cdef Kept kept = build(list(fields), False)
        kept.head.status = status
        self.half.send_interim(kept.head)
        drop_head(kept.head)

    def request(self, bytes method, bytes path, bytes authority=b"test", object fields=(), *,
            bint end=True, bytes scheme=b""):
        cdef Kept kept = build(list(fields), end)
        kept.ask(method, path, authority, scheme)
        outcome = self.half.send_head(kept.head)
        drop_head(kept.head)
        return outcome

    def send(self, bytes chunk, *, bint end=False):
        return self.half.send_body(chunk, len(chunk), end)

    def trailers(self, list fields):
        cdef Kept kept = build(fields, True)
        outcome = self.half.send_trailers(kept.head)
        drop_head(kept.head)
        return outcome

    def reset(self, uint32_t code, int kind=11):
        return self.half.reset(<FaultKind> kind, code)

    def hold(self):
        return self.half.hold()

    def unhold(self):
        return self.half.unhold()

    def release_head(self):
        return self.half.release_head()

    def drop_half(self):
        self.half = None

    @property
    def connected(self):
        return (<Http2Half> self.half).session is not None

    @property
    def reports_here(self):
        """Whether the half still refers to this peer."""
        return self.half is not None and self.half.peer is self


cdef class RecorderDispatch(Dispatch):
    cdef public list peers
    cdef public object on_event

    cdef Peer new_exchange(self, Stream half):
        peer = RecorderPeer(self.on_event)
        self.peers.append(peer)
        return peer


cdef class RecorderOwner(ConnectionOwner):
    cdef public list events
    cdef public object on_room

    cdef int on_connection_room(self, object connection) except -1:
        self.events.append(("room", (<Http2Client> connection).room()))
        if self.on_room is not None:
            self.on_room()
        return 0

    cdef int on_connection_retired(self, object connection) except -1:
        self.events.append(("retired",))
        return 0

    cdef int on_connection_closed(self, object connection, FaultKind kind, int code) except -1:
        self.events.append(("closed", FAULTS[<int> kind], code, (<Http2Client> connection).live()))
        return 0


cdef class SessionDoor:
    """One session on a connected socket, whose descriptor is taken over."""
    cdef Http2Session session
    cdef Transport transport

    def abort(self):
        self.transport.abort()

    def shut(self):
        self.session.shut()

    def let_go(self):
        """Ends the connection; whoever still refers to the door keeps nothing of it alive."""
        self.session.shut()
        self.session = None
        self.transport = None

    @property
    def closed(self):
        return bool(self.transport.dead)

    @property
    def over(self):
        return bool(self.session.over)

    @property
    def streams(self):
        return self.session.table.count

    @property
    def queued(self):
        return self.session.queued

    @property
    def unsent(self):
        return self.transport.outbox.size

    @property
    def leases(self):
        """Whether any buffer is leased by the connection itself."""
        cdef Transport transport = self.transport
        return (transport.inbox is not None or transport.outbox.first is not None
                or self.session.block is not None)

    @property
    def window(self):
        """Of the connection's receive window: its size, and bytes in use or not yet announced again."""
        return (
            nghttp2_session_get_effective_local_window_size(self.session.h2),
            nghttp2_session_get_effective_recv_data_length(self.session.h2),
        )

    @property
    def budgets(self):
        """(spent of what costs more than it brings, tokens owed for resets)."""
        cdef Http2Session session = self.session
        owed = max(session.resets.whole_at - session.loop.now, 0)
        return session.anomalies.spent, -(-owed // session.resets.each_ns) if owed else 0


cdef class ServerDoor(SessionDoor):
    cdef RecorderDispatch dispatch

    def __init__(self, Loop loop, int fd, Limits limits, on_event=None, *, bint proven=False):
        self.dispatch = RecorderDispatch()
        self.dispatch.peers = []
        self.dispatch.on_event = on_event
        self.session = Http2Server(self.dispatch, limits, proven=proven)
        self.transport = accepted(loop, fd, None)
        self.transport.attach(self.session)

    @property
    def peers(self):
        return self.dispatch.peers

    def drain(self):
        (<Http2Server> self.session).drain()


cdef class ClientDoor(SessionDoor):
    cdef RecorderOwner owner

    def __init__(self, Loop loop, int fd, Limits limits, *, bint keepalive=False, bint in_pod=False,
            on_room=None, bint dead=False, bint pings_idle=True):
        self.owner = RecorderOwner()
        self.owner.events = []
        self.owner.on_room = on_room
        self.session = Http2Client(self.owner, limits)
        (<Http2Client> self.session).keepalive = keepalive
        (<Http2Client> self.session).in_pod = in_pod
        (<Http2Client> self.session).pings_idle = pings_idle
        self.transport = accepted(loop, fd, None)
        if dead:
            self.transport.abort()
        self.transport.attach(self.session)

    @property
    def events(self):
        return self.owner.events

    def open(self, on_event=None):
        peer = RecorderPeer(on_event)
        (<RecorderPeer> peer).half = (<Http2Client> self.session).open_stream(peer)
        return peer

    def room(self):
        return (<Http2Client> self.session).room()

    def live(self):
        return (<Http2Client> self.session).live()

    def retire(self):
        (<Http2Client> self.session).retire()


# ---- a server with one fixed answer, for load tests

cdef class FixedPeer(Peer):
    cdef Stream half
    cdef FixedServer server

    cdef int on_request_head(self, Stream half, Head head) except -1:
        cdef bint end = head.end
        self.half = half
        half.release_head()
        return self.answer() if end else 0

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        return self.answer() if end else 0

    cdef int on_request_trailers(self, Head trailers) except -1:
        return self.answer()

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        self.half = None
        return 0

    cdef int answer(self) except -1:
        cdef Stream half = self.half
        self.half = None
        half.send_head(self.server.head)
        half.send_body(self.server.answer_bytes, self.server.answer_len, True)
        return 0


cdef class FixedDispatch(Dispatch):
    cdef FixedServer server

    cdef Peer new_exchange(self, Stream half):
        cdef FixedPeer peer = FixedPeer.__new__(FixedPeer)
        peer.server = self.server
        self.server.requests += 1
        return peer


cdef class FixedServer(Accepting):
    """Answers every request with 200 and `size` bytes."""
    cdef Listener listener
    cdef FixedDispatch dispatch
    cdef Limits limits
    cdef Head head
    cdef bytes body
    cdef const char* answer_bytes
    cdef size_t answer_len
    cdef public long requests

    def __init__(self, Loop loop, str host, int port, *, int size=128, Limits limits=None):
        self.limits = limits or Limits()
        self.dispatch = FixedDispatch()
        self.dispatch.server = self
        self.body = b"x" * size
        self.answer_bytes = self.body
        self.answer_len = size
        self.head = take_head()
        self.head.status = 200
        self.head.add("content-type", 12, "text/plain", 10, field_id("content-type", 12), 0)
        self.listener = Listener(loop, (host, port), self)

    @property
    def address(self):
        return self.listener.address

    cdef int on_accepted(self, Transport transport) except -1:
        return transport.attach(Http2Server(self.dispatch, self.limits))

    def close(self):
        self.listener.close()
        self.listener = None
        self.dispatch.server = None


def count_frames(bytes wire, *, bint preface=False, object cuts=()):
    """How many frames of `wire`, fed in pieces that end at `cuts`, cost more than they carry."""
    cdef FrameMeter meter
    cdef bytearray piece
    cdef unsigned char* p
    cdef size_t n, part
    cdef int cheap = 0, start = 0
    memset(&meter, 0, sizeof(meter))
    meter.skip = 24 if preface else 0
    for stop in [*cuts, len(wire)]:
        piece = bytearray(wire[start:stop])
        p, n = piece, len(piece)
        while n:
            part = meter_frames(&meter, p, n)
            cheap += meter.cheap
            p += part
            n -= part
        start = stop
    free_scan(meter.scan)
    return cheap


def frames_borne(int limit, *, int earned):
    """How many cheap frames a budget bears at one moment, once it was earned by that often."""
    cdef Budget budget
    cdef int borne = 0, i
    memset(&budget, 0, sizeof(budget))
    budget.limit = limit
    for i in range(earned):
        earn(&budget, 1)
    while not spend(&budget, 1, 0):
        borne += 1
    return borne


# ---- parts by themselves

def decode_huffman(bytes coded):
    """The text that `coded` stands for; None: it is no such code."""
    cdef const uint8_t* p = <const uint8_t*> <const char*> coded
    cdef Py_ssize_t size = huffman_decode(p, len(coded), NULL)
    cdef bytearray decoded
    if size < 0:
        return None
    decoded = bytearray(size)
    assert huffman_decode(p, len(coded), <char*> decoded) == size
    return bytes(decoded)


cdef list read_fields(const nghttp2_nv* fields, int count):
    return [(text(<const char*> fields[i].name, fields[i].namelen),
        text(<const char*> fields[i].value, fields[i].valuelen),
        bool(fields[i].flags & NGHTTP2_NV_FLAG_NO_INDEX)) for i in range(count)]


def request_to_send(bytes method, bytes path, bytes authority, bytes scheme, list fields):
    """(name, value, whether it must not be remembered) of each field that libnghttp2 is given."""
    cdef Kept kept = build(fields, True)
    kept.ask(method, path, authority, scheme)
    count = request_fields(kept.head)
    found = read_fields(shared_fields(), count)
    drop_head(kept.head)
    return found


def response_to_send(int status, list fields, *, object length=None):
    """The same of a response; `length` is what its head was found to say, which its field may not."""
    cdef Kept kept = build(fields, True)
    kept.head.status = status
    if length is not None:
        kept.head.content_length = length
    count = response_fields(kept.head)
    found = read_fields(shared_fields(), count)
    drop_head(kept.head)
    return found


def trailers_to_send(list fields, *, bint sensitive=False):
    """The same of trailers, from the copy that outlives its head and the next use of the array."""
    cdef Kept kept = build(fields, True)
    cdef nghttp2_nv* packed
    if sensitive:
        for i in range(kept.head.count):
            kept.head.fields[i].flags |= FIELD_SENSITIVE
    count = trailer_fields(kept.head)
    packed = pack_fields(count)
    drop_head(kept.head)
    kept = build([(b"other", b"field")] * max(count, 1), True)
    trailer_fields(kept.head)
    drop_head(kept.head)
    found = read_fields(packed, count)
    free(packed)
    return found


cdef dict long_string_of(const LongString* string):
    return {
        "field": string.field,
        "filling": string.filling,
        "length": string.length,
        "text": text(<const char*> string.text, string.have) if string.is_kept else None,
        "huffman": bool(string.huffman),
        "is_name": bool(string.is_name),
    }


cdef class Scan:
    """A header block on its way through the replacement of its long strings."""
    cdef BlockScan* scan

    def __cinit__(self, *, uint32_t keep):
        self.scan = new_scan(keep)

    def __dealloc__(self):
        free_scan(self.scan)

    def frame(self, bytes payload, *, Py_ssize_t step=0, bint padded=False, bint with_priority=False):
        """What becomes of one frame's payload, which comes in pieces of `step` bytes; 0: at once."""
        cdef bytearray replaced = bytearray(payload)
        cdef uint8_t* p = replaced
        cdef Py_ssize_t at, size = len(payload)
        scan_frame(self.scan, <uint32_t> size, padded, with_priority)
        for at in range(0, size, step or max(size, 1)):
            scan_bytes(self.scan, p + at, min(step or size, size - at))
        return bytes(replaced)

    def finds(self, uint32_t field):
        """Of a field that comes out of the block: its long string, "passed over", or None."""
        cdef bint passed_over = False
        cdef const LongString* string = long_string(self.scan, field, &passed_over)
        if string == NULL:
            return "passed over" if passed_over else None
        return long_string_of(string)

    @property
    def strings(self):
        return [long_string_of(&self.scan.strings[i]) for i in range(self.scan.count)]

    @property
    def fields(self):
        return self.scan.fields

    @property
    def given_up(self):
        return self.scan.place == GIVEN_UP


cdef class Table:
    """A table of streams without a session."""
    cdef StreamTable table

    def __cinit__(self):
        self.table = StreamTable.__new__(StreamTable)

    def add(self):
        """A stream, by its key."""
        cdef Http2Half half = Http2Half.__new__(Http2Half)
        self.table.add(half)
        return half.key

    def remove(self, uint64_t key):
        self.table.remove(self.table.at(key))

    def finds(self, uint64_t key):
        return self.table.at(key) is not None

    @property
    def keys(self):
        return [(<Http2Half> half).key for half in self.table.halves()]

    @property
    def count(self):
        return self.table.count
