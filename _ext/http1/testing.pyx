# cython: language_level=3
"""Python doors to the HTTP/1 parser for tests and fuzzers; not part of a wheel."""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from linkerd2_py._ext.core.fault cimport FAULT_LOCAL, FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED,
    FORM_ABSOLUTE,
    HTTP_11,
    Field,
    Head,
    Version,
    drop_head,
    field_id,
    method_id,
    parse_length,
    take_head,
)
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Dispatch, Peer, Stream
from linkerd2_py._ext.http1.body cimport Body, body_begin, body_next
from linkerd2_py._ext.http1.client cimport Http1Client
from linkerd2_py._ext.http1.faults cimport PARSE_FAULTS, parse_fault_status, parse_fault_text
from linkerd2_py._ext.http1.parser cimport parse_request, parse_response
from linkerd2_py._ext.http1.serializer cimport (
    FRAME_LENGTH,
    FRAME_NONE,
    reason_phrase,
    write_request,
    write_response,
)
from linkerd2_py._ext.http1.server cimport Http1Server
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Session, Transport, accepted

METHODS = ("OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT")
FORMS = ("origin", "absolute", "authority", "asterisk")
VERSIONS = ("1.0", "1.1", "2")
BODIES = ("none", "length", "chunked", "until_close")

cdef Limits default_limits = Limits()


class ParseError(ValueError):
    """A rejected message: `.status` a client would be told, `.text` why."""

    def __init__(self, int fault):
        self.fault = fault
        self.status = parse_fault_status(fault)
        self.text = parse_fault_text(fault).decode()
        super().__init__(f"{self.status} {self.text}")


cdef class Bytes:
    """An exact-size copy, so that a read past the end is one that a sanitizer sees."""
    cdef char* mem
    cdef size_t size

    def __cinit__(self, bytes content):
        self.size = len(content)
        self.mem = <char*> malloc(self.size or 1)
        if self.mem == NULL:
            raise MemoryError
        memcpy(self.mem, <char*> content, self.size)

    def __dealloc__(self):
        free(self.mem)


cdef bytes text(Span span):
    return span.ptr[:span.len]


cdef dict described(Head head):
    cdef Field* field
    cdef int i
    cdef list kept = [], dropped = []
    for i in range(head.count):
        field = &head.fields[i]
        pair = (field.name[:field.name_len], field.value[:field.value_len])
        (dropped if field.flags & FIELD_DROPPED else kept).append(pair)
    return {
        "version": VERSIONS[head.version], "fields": kept, "dropped": dropped,
        "content_length": head.content_length, "chunked": bool(head.chunked), "end": bool(head.end),
        "wants_close": bool(head.wants_close), "upgrade": bool(head.upgrade),
    }


cdef dict request_of(Head head):
    found = described(head)
    found.update(
        method=text(head.method), method_id=METHODS[head.method_id], form=FORMS[head.form],
        scheme=text(head.scheme), authority=text(head.authority), path=text(head.path),
        target=text(head.target), expect_continue=bool(head.expect_continue),
    )
    return found


cdef dict response_of(Head head):
    found = described(head)
    found.update(status=head.status, reason=text(head.reason), close_delimited=bool(head.close_delimited))
    return found


cdef int run_head(Bytes message, Head head, Limits limits, int step, int method, bint request) except? -9999:
    """The parser's answer when bytes arrive `step` at a time (0: all at once)."""
    cdef size_t scanned = 0
    cdef size_t n = message.size if step == 0 else 0
    cdef int answer
    while True:
        if step:
            n = min(n + step, message.size)
        if request:
            answer = parse_request(message.mem, n, &scanned, head, limits)
        else:
            answer = parse_response(message.mem, n, &scanned, head, limits, method)
        if answer or n == message.size:
            return answer


def parse_request_bytes(bytes message, *, Limits limits=default_limits, int step=0):
    """The head at the start of `message` as a dict with `length`, None if incomplete; raises ParseError."""
    cdef Head head = take_head()
    try:
        return parse_door(message, head, limits, step, 0, True)
    finally:
        drop_head(head)


def parse_response_bytes(bytes message, *, bytes method=b"GET", Limits limits=default_limits, int step=0):
    """As parse_request_bytes, for the response to a request with `method`."""
    cdef Head head = take_head()
    try:
        return parse_door(message, head, limits, step, method_id(method, len(method)), False)
    finally:
        drop_head(head)


cdef object parse_door(bytes message, Head head, Limits limits, int step, int method, bint request):
    cdef Bytes copy = Bytes(message)
    cdef int answer = run_head(copy, head, limits, step, method, request)
    if answer < 0:
        raise ParseError(-answer)
    if answer == 0:
        return None
    found = request_of(head) if request else response_of(head)
    found["length"] = answer
    return found


def read_body(
    bytes message, *, bint chunked=False, int64_t length=-1, Limits limits=default_limits, int step=0,
):
    """(body, trailers kept, trailers dropped, bytes consumed, done) of a body section; raises ParseError."""
    cdef Body body
    cdef Head head = take_head()
    cdef Head trailers = take_head()
    cdef Bytes copy = Bytes(message)
    cdef Span out
    cdef size_t at = 0, n = copy.size if step == 0 else 0
    cdef int64_t used
    cdef list runs = []
    head.chunked = chunked
    head.content_length = length
    try:
        body_begin(&body, head)
        while not body.done:
            used = body_next(&body, copy.mem + at, n - at, &out, trailers, limits)
            if used < 0:
                raise ParseError(<int> -used)
            if out.len:
                runs.append(out.ptr[:out.len])
            at += used
            if used == 0:
                if n == copy.size:
                    break
                n = min(n + step, copy.size)
        found = described(trailers)
        return b"".join(runs), found["fields"], found["dropped"], at, bool(body.done)
    finally:
        drop_head(head)
        drop_head(trailers)


def faults():
    """Every (fault, status, text), for a test that looks at all of them."""
    return [
        (fault, parse_fault_status(fault), parse_fault_text(fault).decode())
        for fault in range(1, PARSE_FAULTS)
    ]


def name_id(bytes name):
    return field_id(name, len(name))


def length_of(bytes value):
    return parse_length(value, len(value))


def parse_many(bytes message, int rounds, *, bint request=True):
    """Parses the same head again and again: for instruction counts."""
    cdef Head head = take_head()
    cdef Bytes copy = Bytes(message)
    cdef size_t scanned
    cdef int i, answer = 0
    for i in range(rounds):
        scanned = 0
        head.reset()
        if request:
            answer = parse_request(copy.mem, copy.size, &scanned, head, default_limits)
        else:
            answer = parse_response(copy.mem, copy.size, &scanned, head, default_limits, 1)
    drop_head(head)
    return answer


# ---- codecs: recorders at the other side of a half, and doors to commands


KINDS = (
    "none", "refused", "unreachable", "connect_timeout", "reset", "timeout", "eof", "protocol", "idle",
    "no_fds", "no_memory", "local", "io",
)


cdef class Recorder(Peer):
    """Writes down what a half reports and gives it commands. `react(recorder, event)` runs inside the report,
    as an exchange's answer would."""
    cdef readonly list events
    cdef public object react
    cdef Stream half

    def __init__(self, react=None):
        self.events = []
        self.react = react

    cdef int note(self, tuple event) except -1:
        self.events.append(event)
        if self.react is not None:
            self.react(self, event)
        return 0

    cdef int on_request_head(self, Stream half, Head head) except -1:
        self.half = half
        return self.note(("head", request_of(head)))

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        return self.note(("body", p[:n] if n else b"", bool(end)))

    cdef int on_request_trailers(self, Head trailers) except -1:
        return self.note(("trailers", described(trailers)["fields"]))

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        return self.note(("reset", KINDS[<int> kind]))

    cdef int on_response_room(self) except -1:
        return self.note(("room",))

    cdef int on_interim_head(self, Head head) except -1:
        return self.note(("interim", response_of(head)))

    cdef int on_response_head(self, Head head) except -1:
        return self.note(("head", response_of(head)))

    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1:
        return self.note(("body", p[:n] if n else b"", bool(end)))

    cdef int on_response_trailers(self, Head trailers) except -1:
        return self.note(("trailers", described(trailers)["fields"]))

    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1:
        return self.note(("reset", KINDS[<int> kind], bool(refused)))

    cdef int on_request_room(self) except -1:
        return self.note(("room",))

    def names(self):
        """The kinds of events so far, in order."""
        return [event[0] for event in self.events]

    def body(self):
        """The body bytes so far."""
        return b"".join(event[1] for event in self.events if event[0] == "body")

    @property
    def ended(self):
        """Whether the message was reported to its end."""
        last = self.events[-1] if self.events else None
        if last is None:
            return False
        if last[0] == "head":
            return last[1]["end"]
        return last[0] == "trailers" or (last[0] == "body" and last[2])

    @property
    def live(self):
        """Whether the half still reports here."""
        return self.half is not None and self.half.peer is self

    def respond(
        self, int status, fields=(), *, bytes body=b"", bint end=True, int64_t length=-2, bint close=False,
        bytes reason=b"", int version=HTTP_11,
    ):
        """A final head, then the body in the same call. `length` -2: that of the body; -1: unknown."""
        cdef Head head = take_head()
        head.status = status
        head.version = <Version> version
        head.reason.ptr, head.reason.len = reason, len(reason)
        head.content_length = len(body) if length == -2 else length
        head.wants_close = close
        head.end = end and not body
        try:
            fill(head, fields)
            outcome = self.half.send_head(head)
        finally:
            drop_head(head)
        if body:
            outcome = self.half.send_body(<char*> body, len(body), end)
        return outcome

    def interim(self, int status, fields=()):
        cdef Head head = take_head()
        head.status = status
        try:
            fill(head, fields)
            return self.half.send_interim(head)
        finally:
            drop_head(head)

    def request(
        self, bytes method=b"GET", bytes target=b"/", fields=((b"host", b"a"),), *, bint end=True,
        int64_t length=-1, int version=HTTP_11, bytes authority=b"a", bint upgrade=False, bytes absolute=b"",
    ):
        """A request head on a client half. `absolute`: the whole target in absolute-form."""
        cdef Head head = take_head()
        head.version = <Version> version
        head.method.ptr, head.method.len = method, len(method)
        head.method_id = method_id(method, len(method))
        head.path.ptr, head.path.len = target, len(target)
        head.target = head.path
        head.authority.ptr, head.authority.len = authority, len(authority)
        if absolute:
            head.form = FORM_ABSOLUTE
            head.target.ptr, head.target.len = absolute, len(absolute)
        head.content_length = length
        head.end = end
        head.upgrade = upgrade
        try:
            fill(head, fields)
            return self.half.send_head(head)
        finally:
            drop_head(head)

    def send(self, bytes body, *, bint end=False):
        return self.half.send_body(<char*> body, len(body), end)

    def trailers(self, fields, *, int version=HTTP_11):
        cdef Head head = take_head()
        head.version = <Version> version
        try:
            fill(head, fields)
            return self.half.send_trailers(head)
        finally:
            drop_head(head)

    def reset(self):
        return self.half.reset(FAULT_LOCAL, 0)

    def hold(self):
        return self.half.hold()

    def unhold(self):
        return self.half.unhold()

    def release_head(self):
        return self.half.release_head()

    def into_tunnel(self):
        """Gives up the transport: (bytes it had read, a session that keeps it)."""
        cdef Transport transport = self.half.into_tunnel()
        cdef Tunnel tunnel = Tunnel()
        transport.attach(tunnel)
        return tunnel


cdef int fill(Head head, fields) except -1:
    for name, value in fields:
        copy = head.alloc(len(name))
        memcpy(copy, <char*> <bytes> name, len(name))
        head.put(copy, len(name), <char*> <bytes> value, len(value), field_id(copy, len(name)))
    return 0


cdef class Tunnel(Session):
    """Takes the bytes of a transport that a codec gave up."""
    cdef readonly bytes received
    cdef readonly bint ended

    def __init__(self):
        self.received = b""

    cdef int on_attached(self) except -1:
        return self.on_readable()

    cdef int on_readable(self) except -1:
        cdef Transport transport = self.transport
        if transport.inbox is not None:
            self.received += transport.inbox.head()[:transport.inbox.size()]
            transport.inbox.skip(transport.inbox.size())
        return 0

    cdef int on_read_eof(self) except -1:
        self.ended = True
        return 0

    def send(self, bytes content):
        self.transport.send(<char*> content, len(content))
        self.transport.flush()

    def close(self):
        self.transport.close()


cdef class Recording(Dispatch):
    """Makes a Recorder for each request; `peers` are in order of arrival."""
    cdef readonly list peers
    cdef public object react

    def __init__(self, react=None):
        self.peers = []
        self.react = react

    cdef Peer new_exchange(self, Stream half):
        recorder = Recorder(self.react)
        self.peers.append(recorder)
        return recorder


cdef class Owner(ConnectionOwner):
    """Writes down what client connections report; `react(client)` runs when one has room again."""
    cdef readonly list events
    cdef public object react

    def __init__(self):
        self.events = []

    cdef int on_connection_room(self, object connection) except -1:
        self.events.append(("room",))
        if self.react is not None:
            self.react(connection)
        return 0

    cdef int on_connection_retired(self, object connection) except -1:
        self.events.append(("retired",))
        return 0

    cdef int on_connection_closed(self, object connection, FaultKind kind, int code) except -1:
        self.events.append(("closed", KINDS[<int> kind]))
        return 0


cdef class Relay(Peer):
    """The smallest exchange there is: one server half, one client half, everything passed on."""
    cdef Stream server, client
    cdef Http1Client connection

    cdef int on_request_head(self, Stream half, Head head) except -1:
        self.server = half
        self.client = self.connection.open_stream(self)
        self.client.send_head(head)
        return 0

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        self.server.release_head()
        self.client.send_body(p, n, end)
        return 0

    cdef int on_request_trailers(self, Head trailers) except -1:
        self.client.send_trailers(trailers)
        return 0

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        return self.client.reset(kind, code)

    cdef int on_interim_head(self, Head head) except -1:
        self.server.send_interim(head)
        return 0

    cdef int on_response_head(self, Head head) except -1:
        self.server.release_head()
        self.server.send_head(head)
        return 0

    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1:
        self.server.send_body(p, n, end)
        return 0

    cdef int on_response_trailers(self, Head trailers) except -1:
        self.server.send_trailers(trailers)
        return 0

    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1:
        return self.server.reset(kind, code)


cdef class Relaying(Dispatch):
    """Relays every request over one client connection."""
    cdef Http1Client connection

    def __init__(self, Http1Client connection):
        self.connection = connection

    cdef Peer new_exchange(self, Stream half):
        cdef Relay relay = Relay.__new__(Relay)
        relay.connection = self.connection
        return relay


def serve(Loop loop, int fd, Dispatch dispatch, *, Limits limits=default_limits, bint informational=False):
    """A server codec on a connected socket; takes the descriptor."""
    cdef Http1Server server = Http1Server(dispatch, limits)
    cdef Transport transport = accepted(loop, fd, None)
    server.informational = informational
    transport.attach(server)
    return server


def call(Loop loop, int fd, ConnectionOwner owner, *, Limits limits=default_limits):
    """A client codec on a connected socket; takes the descriptor."""
    cdef Http1Client client = Http1Client(owner, limits)
    cdef Transport transport = accepted(loop, fd, None)
    transport.attach(client)
    return client


def open_stream(Http1Client client, react=None):
    """A Recorder on a new stream."""
    cdef Recorder recorder = Recorder(react)
    recorder.half = client.open_stream(recorder)
    return recorder


def drain(Http1Server server):
    return server.drain()


def abort(Http1Server server):
    return server.abort()


def cut(session):
    """Ends the transport under a codec, as its owner may: the codec hears nothing."""
    return (<Session> session).transport.abort()


def retire(Http1Client client):
    return client.retire()


def connection(session):
    """What a test may know of a codec's connection."""
    cdef Transport transport = (<Session> session).transport
    if transport is None:
        return {"open": False}
    return {
        "open": not transport.dead, "inbox": transport.inbox is not None,
        "outbox": transport.outbox.first is not None, "paused": bool(transport.pauses),
        "unsent": transport.outbox.size, "sent": transport.tx_bytes, "received": transport.rx_bytes,
    }


def is_reusable(Http1Client client):
    return bool(client.reusable)


def phrase(int status):
    return reason_phrase(status)


# ---- heads and bare halves


def put_values(list values):
    """Copies every value into one head, then reads all of them back."""
    cdef Head head = take_head()
    try:
        for value in values:
            head.put("x", 1, <char*> <bytes> value, len(value), 0)
        return [head.fields[i].value[:head.fields[i].value_len] for i in range(head.count)]
    finally:
        drop_head(head)


def drop_and_find(list names, bytes dropped, bytes sought):
    """(fields flagged, index found by id or None, whether found by lower-case name) after dropping an id."""
    cdef Head head = take_head()
    cdef Field* field
    try:
        for name in names:
            copy = head.alloc(len(name))
            memcpy(copy, <char*> <bytes> name, len(name))
            head.add(copy, len(name), "v", 1, field_id(copy, len(name)), 0)
        count = head.drop(field_id(dropped, len(dropped)))
        field = head.find(field_id(sought, len(sought)))
        by_name = head.find_name(sought, len(sought)) != NULL
        return count, None if field == NULL else <int> (field - head.fields), by_name
    finally:
        drop_head(head)


# ---- operations in great number, for benchmarks


cdef class Writer:
    """Serialises one head into the outbox of a connection where nothing is sent. Takes the descriptor."""
    cdef Head head
    cdef Bytes message
    cdef Transport transport
    cdef bint request

    def __init__(self, Loop loop not None, int fd, bytes message, *, bint request=True):
        self.transport = accepted(loop, fd, None)
        self.head = take_head()
        self.message = Bytes(message)
        self.request = request
        if run_head(self.message, self.head, default_limits, 0, 1, request) <= 0:
            self.close()
            raise ValueError("not a whole head")

    def write_many(self, int times):
        """Writes the head `times` times, each into an empty outbox: bytes in all."""
        cdef unsigned long long written = 0
        cdef int i
        for i in range(times):
            if self.request:
                write_request(self.transport, self.head, FRAME_NONE, False)
            else:
                write_response(self.transport, self.head, HTTP_11, FRAME_LENGTH, False)
            written += self.transport.outbox.size
            self.transport.outbox.clear()
        return written

    def close(self):
        self.transport.abort()
        drop_head(self.head)
        self.head = None
