# cython: language_level=3
"""The engine's sockets for tests: sessions that record or echo, and Python calls for what is otherwise
cimported. Not part of a wheel."""

from libc.errno cimport EAGAIN, errno
from libc.stdint cimport int64_t, uint32_t

from linkerd2_py._ext.core.buffer cimport BUFFER_SMALL, Buffer, lease_for_reading
from linkerd2_py._ext.core.fault cimport FaultKind, fault_of_errno, fault_text, errno_name
from linkerd2_py._ext.io.actor cimport Actor, Timer
from linkerd2_py._ext.io.address cimport Address, SocketOptions
from linkerd2_py._ext.io.connect cimport connect, connect_fd
from linkerd2_py._ext.io.linux cimport EPOLLIN, MSG_NOSIGNAL, POLLIN, c_send, poll_fds, pollfd, recv
from linkerd2_py._ext.io.listener cimport Accepting
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.original_dst cimport original_dst
from linkerd2_py._ext.io.pump cimport Pump, PumpOwner, pump_between
from linkerd2_py._ext.io.transport cimport (
    PAUSE_DRAIN,
    PAUSE_PARKED,
    PAUSE_PEER_FULL,
    PAUSE_TURN,
    SEND_FULL,
    Connecting,
    PauseReason,
    Session,
    Transport,
    accepted,
)
from linkerd2_py._ext.io.wheel cimport TICK_NS, Wheel
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

FAULTS = (
    "none", "refused", "unreachable", "connect_timeout", "reset", "timeout", "eof", "protocol", "idle",
    "no_fds", "no_memory", "local", "tls", "io",
)
PAUSES = {
    "parked": <int> PAUSE_PARKED,
    "peer_full": <int> PAUSE_PEER_FULL,
    "turn": <int> PAUSE_TURN,
    "drain": <int> PAUSE_DRAIN,
}


cdef class RecorderSession(Connecting):
    """Writes down every call as a tuple in `events`. `consume`: takes what it reads into `received`.

    `hook(name, session)`, if set, runs inside the call, after it was written down: whatever a session may do,
    it may do there.
    """
    cdef readonly list events
    cdef readonly object received
    cdef public object hook
    cdef public bint consume

    def __init__(self, hook: object = None, *, consume: bool = True):
        self.events = []
        self.received = bytearray()
        self.hook = hook
        self.consume = consume

    cdef int note(self, tuple entry) except -1:
        self.events.append(entry)
        if self.hook is not None:
            self.hook(entry[0], self)
        return 0

    cdef int on_connected(self) except -1:
        return self.note(("connected",))

    cdef int on_connect_failed(self, FaultKind kind, int code) except -1:
        return self.note(("connect_failed", FAULTS[<int> kind], code))

    cdef int on_attached(self) except -1:
        self.note(("attached",))
        if self.consume and self.transport is not None and self.transport.inbox is not None:
            self.take()
        return 0

    cdef int on_readable(self) except -1:
        chunk = self.take() if self.consume else self.peek()
        return self.note(("readable", chunk))

    cdef int on_read_eof(self) except -1:
        return self.note(("read_eof",))

    cdef int on_drained(self) except -1:
        return self.note(("drained",))

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        return self.note(("fault", FAULTS[<int> kind], code))

    def names(self) -> list[str]:
        """The calls without their arguments."""
        return [entry[0] for entry in self.events]

    def peek(self) -> bytes:
        """What stands in the inbox."""
        cdef Buffer inbox = self.transport.inbox if self.transport is not None else None
        return b"" if inbox is None else inbox.head()[: inbox.size()]

    def take(self, count: int | None = None) -> bytes:
        """Consumes `count` bytes of the inbox, or all."""
        chunk = self.peek()[:count]
        if chunk:
            self.transport.inbox.skip(len(chunk))
            self.received += chunk
        return chunk

    cdef Transport live(self):
        if self.transport is None:
            raise RuntimeError("the session has no transport")
        return self.transport

    def send(self, content: bytes, *, flush: bool = True) -> bool:
        """Whether the transport takes more."""
        cdef int outcome = self.live().send(content, len(content))
        if flush:
            outcome = self.live().flush()
        return outcome != SEND_FULL

    def be_told(self, outcome: int) -> None:
        """As if the batch had read for this transport's event with this outcome: 0, -errno."""
        cdef Transport transport = self.live()
        transport.inbox = lease_for_reading(BUFFER_SMALL)
        transport.on_received(outcome)
        transport.on_event(EPOLLIN)

    def send_reserved(self, content: bytes) -> None:
        """The same through reserve and commit, flushed with the batch."""
        cdef char* room = self.live().reserve(len(content))
        for index, byte in enumerate(content):
            room[index] = <char> <unsigned char> byte
        self.live().commit(len(content))
        self.live().flush_later()

    def try_write(self, content: bytes) -> int:
        return self.live().try_write(content, len(content))

    def shutdown_write(self) -> None:
        self.live().shutdown_write()

    def close(self) -> None:
        self.live().close()

    def abort(self) -> None:
        self.live().abort()

    def pause(self, reason: str = "parked") -> None:
        self.live().pause(<PauseReason> <int> PAUSES[reason])

    def resume(self, reason: str = "parked") -> None:
        self.live().resume(<PauseReason> <int> PAUSES[reason])

    def hand_to(self, Session other not None) -> None:
        """`other` takes this session's place."""
        self.live().attach(other)

    def hold(self) -> object:
        """The transport itself, which outlives its session's interest in it."""
        return Held(self)

    @property
    def attached(self) -> bool:
        return self.transport is not None

    def configure(
        self,
        *,
        high_mark: int | None = None,
        read_size: int | None = None,
        linger_for_input: bool = False,
        reads_before_fault: bool = False,
    ) -> None:
        cdef Transport transport = self.live()
        if high_mark is not None:
            transport.high_mark = high_mark
        if read_size is not None:
            transport.read_size = read_size
        transport.linger_for_input = linger_for_input
        transport.reads_before_fault = reads_before_fault


cdef class Held:
    """A look at a transport, whether or not a session stands on it."""
    cdef Transport transport

    def __init__(self, RecorderSession session not None):
        self.transport = session.live()

    def state(self) -> dict[str, object]:
        cdef Transport t = self.transport
        return {
            "fd": t.fd,
            "dead": bool(t.dead),
            "unsent": t.outbox.size,
            "inbox": -1 if t.inbox is None else t.inbox.size(),
            "inbox_capacity": 0 if t.inbox is None else t.inbox.capacity,
            "outbox": t.outbox.first is not None,
            "pauses": t.pauses,
            "read_eof": bool(t.read_eof),
            "write_closed": bool(t.write_closed),
            "lingering": t.closed and not t.dead,
            "rx_bytes": t.rx_bytes,
            "tx_bytes": t.tx_bytes,
            "writable": bool(t.writable),
        }

    def attach(self, Session session not None) -> None:
        self.transport.attach(session)

    def abort(self) -> None:
        self.transport.abort()

    def close(self) -> None:
        self.transport.close()

    def deadline(self) -> int:
        """When its timer is due, in loop time."""
        return self.transport.timer().deadline

    def expire(self) -> None:
        """Its timer is due with the next turn of the loop."""
        self.transport.loop.arm(self.transport.timer(), self.transport.session, 0)

    def peer(self) -> Address | None:
        return self.transport.peer_address()

    def local(self) -> Address | None:
        return self.transport.local_address()


cdef class EchoSession(Connecting):
    """Sends back what it reads; stops reading while its own sends wait; passes FIN on; closes when both
    directions have ended."""
    cdef readonly int64_t exchanges
    cdef public bint alive

    def __init__(self):
        self.alive = True

    cdef int on_attached(self) except -1:
        return self.on_readable() if self.transport.inbox is not None else 0

    cdef int on_readable(self) except -1:
        cdef Transport transport = self.transport
        cdef Buffer inbox = transport.inbox
        cdef size_t count = inbox.size()
        self.exchanges += 1
        transport.send(inbox.head(), count)
        inbox.skip(count)
        if transport.flush() == SEND_FULL and transport.pause_count[<int> PAUSE_PEER_FULL] == 0:
            transport.pause(PAUSE_PEER_FULL)
        return 0

    cdef int on_drained(self) except -1:
        if self.transport.pause_count[<int> PAUSE_PEER_FULL]:
            self.transport.resume(PAUSE_PEER_FULL)
        return 0

    cdef int on_read_eof(self) except -1:
        self.alive = False
        return self.transport.close()

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        self.alive = False
        return 0


cdef class AcceptWith(Accepting):
    """Attaches what `factory()` gives to every accepted connection; None leaves it unattached."""
    cdef public object factory
    cdef readonly list sessions

    def __init__(self, factory: object):
        self.factory = factory
        self.sessions = []

    cdef int on_accepted(self, Transport transport) except -1:
        session = self.factory()
        if session is None:
            return 0
        self.sessions.append(session)
        return transport.attach(<Session?> session)


cdef class PumpWatch(PumpOwner):
    """Starts pumps and writes down how they ended: (fault, errno)."""
    cdef readonly list ended
    cdef list running

    def __init__(self):
        self.ended = []
        self.running = []

    cdef int on_pump_closed(self, Pump pump, FaultKind kind, int code) except -1:
        self.running.remove(pump)
        self.ended.append((FAULTS[<int> kind], code))
        return 0

    def start(self, RecorderSession client not None, RecorderSession server not None) -> None:
        """Both sessions give their transports to a new pump."""
        cdef Pump pump = pump_between(client.live(), server.live(), self)
        self.running.append(pump)
        pump.start()

    def held_bytes(self) -> list[tuple[int, int]]:
        """Capacity of the buffers each running pump holds: (client to server, server to client)."""
        cdef Pump pump
        return [(_held(pump.client), _held(pump.server)) for pump in self.running]

    def stop(self) -> None:
        """Stops the running pumps without callbacks."""
        cdef Pump pump
        for pump in self.running:
            pump.stop()
        self.running.clear()


cdef size_t _held(Transport transport):
    cdef size_t total = 0
    cdef Buffer buffer = transport.outbox.first
    if transport.inbox is not None:
        total += transport.inbox.capacity
    while buffer is not None:
        total += buffer.capacity
        buffer = buffer.next
    return total


cdef class PumpAccepting(Accepting):
    """Pumps every accepted connection to `target`: a plain TCP proxy."""
    cdef Loop loop
    cdef Address target
    cdef readonly PumpWatch watch

    def __init__(self, Loop loop, Address target):
        self.loop = loop
        self.target = target
        self.watch = PumpWatch()

    cdef int on_accepted(self, Transport transport) except -1:
        cdef RecorderSession client = RecorderSession(consume=False)
        cdef RecorderSession server = RecorderSession(self.server_event)
        transport.attach(client)
        transport.pause(PAUSE_PARKED)
        server.events.append(client)
        connect(self.loop, self.target, server, 5000000000, None, None)
        return 0

    def server_event(self, name: str, RecorderSession server) -> None:
        cdef RecorderSession client = server.events[0]
        if name == "connected":
            self.watch.start(client, server)
        elif client.attached:
            client.abort()


cdef class AlarmActor(Actor):
    """Named timers: arm, disarm; `fired` gets (name, loop time)."""
    cdef readonly list fired
    cdef public object hook
    cdef Loop loop
    cdef dict timers

    def __init__(self, Loop loop not None, hook: object = None):
        self.loop = loop
        self.fired = []
        self.timers = {}
        self.hook = hook

    cdef int on_timer(self, Timer timer) except -1:
        self.fired.append((timer.kind, self.loop.now))
        if self.hook is not None:
            self.hook(timer.kind, self)
        return 0

    cdef int on_broken(self) except -1:
        return 0

    def arm(self, kind: int, delay_ns: int) -> int:
        """The deadline in loop time."""
        cdef Timer timer = self.timers.setdefault(kind, Timer(self, kind))
        self.loop.arm(timer, self, delay_ns)
        return timer.deadline

    def disarm(self, kind: int) -> None:
        cdef Timer timer = self.timers.get(kind)
        self.loop.disarm(timer)

    def armed(self) -> set[int]:
        cdef Timer timer
        return {timer.kind for timer in self.timers.values() if timer.armed}


cdef class TimedWheel(Actor):
    """A wheel that the test turns, and named timers; `began` is the time when it was made."""
    cdef Wheel wheel
    cdef dict timers
    cdef readonly int64_t began

    def __init__(self):
        self.wheel = Wheel()
        self.timers = {}
        self.began = self.wheel.turned * TICK_NS

    def arm(self, kind: int, deadline: int) -> None:
        self.wheel.arm(self.timers.setdefault(kind, Timer(self, kind)), self, deadline)

    def disarm(self, kind: int) -> None:
        self.wheel.disarm(self.timers.get(kind))

    def turn(self, now: int) -> None:
        self.wheel.turn(now)

    def take_due(self) -> tuple[int, bool, bool] | None:
        """The first of those that are due, whether it is still armed, and whether it knows its owner."""
        cdef Timer timer
        if self.wheel.due_tail is None:
            return None
        timer = self.wheel.take_due()
        return timer.kind, bool(timer.armed), timer.owner is self

    def is_due(self, now: int) -> bool:
        return self.wheel.is_due(now)

    def clear(self) -> None:
        self.wheel.clear()

    def let_go(self) -> None:
        """Whoever still refers to the wheel keeps no timer of it alive."""
        self.wheel.clear()
        self.timers.clear()

    def owned(self) -> set[int]:
        """The timers that refer to their owner."""
        cdef Timer timer
        return {timer.kind for timer in self.timers.values() if timer.owner is not None}

    @property
    def armed(self) -> int:
        return self.wheel.armed

    @property
    def next_tick(self) -> int:
        return self.wheel.next_tick


cdef class DeferActor(Actor):
    """Calls `run(self)` when deferred; `broken` counts exceptions that escaped it."""
    cdef Loop loop
    cdef public object run
    cdef readonly int broken

    def __init__(self, Loop loop not None, run: object):
        self.loop = loop
        self.run = run

    cdef int on_deferred(self) except -1:
        self.run(self)
        return 0

    cdef int on_broken(self) except -1:
        self.broken += 1
        return 0

    def defer(self) -> None:
        self.loop.defer(self)


def adopt(Loop loop not None, fd: int, Session session not None, TcpMetrics metrics=None) -> None:
    """An accepted, non-blocking descriptor becomes a transport; takes ownership."""
    accepted(loop, fd, metrics).attach(session)


def connect_to(
    Loop loop not None,
    Address address not None,
    Connecting session not None,
    timeout_ns: int = 5_000_000_000,
    SocketOptions options=None,
    TcpMetrics metrics=None,
) -> None:
    """The session hears connected or connect_failed."""
    connect(loop, address, session, timeout_ns, options, metrics)


def connect_socket(
    Loop loop not None,
    fd: int,
    Address address not None,
    Connecting session not None,
    timeout_ns: int = 5_000_000_000,
) -> None:
    """The same on a prepared socket; takes ownership."""
    connect_fd(Transport.__new__(Transport), loop, fd, address, session, timeout_ns, None, None)


def original_destination(fd: int) -> Address | None:
    return original_dst(fd)


def fault_name(code: int, *, connecting: bool) -> str:
    """The fault an errno stands for."""
    return FAULTS[<int> fault_of_errno(code, connecting)]


def errno_label(code: int) -> str:
    return errno_name(code).decode()


def fault_texts() -> dict[str, str]:
    return {name: fault_text(<FaultKind> index).decode() for index, name in enumerate(FAULTS)}


# ---- exchanges in great number, for benchmarks


cdef enum:
    EXCHANGE_MS = 5000     # what one half of an exchange may take
    FRAME_HEAD = 9         # of an HTTP/2 frame: length 3, type 1, flags 1, stream 4


def exchange_many(
    Loop loop not None,
    int client,
    int server,
    bytes request,
    bytes response,
    int times,
    *,
    uint32_t stream=0,
):
    """`times` exchanges in turn through what the loop serves between two plain sockets: bytes the server got,
    bytes the client got.

    Both sockets are non-blocking and stay the caller's; `client` is connected to a proxy and `server`
    accepted from it. With `stream`, request and response are whole HTTP/2 frames, which are sent on that
    stream and, for each further exchange, on the next of a client.
    """
    cdef bytearray sent_request = bytearray(request)
    cdef bytearray sent_response = bytearray(response)
    cdef unsigned long long at_server = 0, at_client = 0
    cdef int i
    for i in range(times):
        if stream:
            _stamp(sent_request, len(sent_request), stream)
            _stamp(sent_response, len(sent_response), stream)
            stream += 2
        at_server += _pass_on(loop, client, sent_request, len(sent_request), server)
        at_client += _pass_on(loop, server, sent_response, len(sent_response), client)
    return at_server, at_client


cdef int _stamp(char* frames, size_t n, uint32_t stream) except -1:
    """Writes the stream's number into every frame."""
    cdef unsigned char* at = <unsigned char*> frames
    cdef unsigned char* end = at + n
    while at < end:
        at[5], at[6], at[7], at[8] = stream >> 24, stream >> 16 & 255, stream >> 8 & 255, stream & 255
        at += FRAME_HEAD + (<size_t> at[0] << 16 | <size_t> at[1] << 8 | at[2])
    return 0


cdef Py_ssize_t _pass_on(Loop loop, int source, const char* content, size_t n, int target) except -1:
    """Sends into one socket and runs the loop until the other has got something and nothing is left to do:
    bytes read there."""
    cdef char[16384] read
    cdef pollfd waiting
    cdef Py_ssize_t got, total = 0
    if c_send(source, content, n, MSG_NOSIGNAL) != <Py_ssize_t> n:
        raise ConnectionError("the proxy takes no more bytes")
    while True:
        # The loop's own descriptor is readable as long as it has something to do.
        waiting.fd = loop.epfd
        waiting.events = POLLIN
        waiting.revents = 0
        if poll_fds(&waiting, 1, 0 if total else EXCHANGE_MS) == 0:
            break
        loop.drain()
        got = recv(target, read, sizeof(read), 0)
        if got > 0:
            total += got
        elif got == 0 or errno != EAGAIN:
            raise ConnectionError("the proxy ended the connection")
    if total == 0:
        raise TimeoutError("the proxy passed nothing on")
    return total
