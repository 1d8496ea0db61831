# cython: language_level=3
"""Its connections are sessions of the same HTTP/2 as all traffic; what is here is whom it lets in, and how
it ends."""

from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.detect.detect cimport Protocol
from linkerd2_py._ext.exchange.stream cimport Peer, Stream
from linkerd2_py._ext.http2.half cimport Http2Half
from linkerd2_py._ext.io.address cimport SocketOptions
from linkerd2_py._ext.io.listener cimport Listener
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.route.client cimport name_of
from linkerd2_py._ext.tls.identity cimport LocalIdentity

cdef enum:
    IDLE = 11                    # a kind of timer that no other session has


cdef class CallServer(Calls):

    def __init__(
        self, Loop loop not None, *, on_call not None, Limits limits=None, Py_ssize_t connections_max=4096,
        Py_ssize_t calls_max=20_000, size_t request_bytes=65_536, size_t queue_bytes=262_144,
        int64_t request_timeout_ns=15_000_000_000, int64_t idle_ns=300_000_000_000,
        LocalIdentity identity=None, int64_t patience_ns=10_000_000_000,
    ):
        self.loop = loop
        self.on_call = on_call
        self.limits = Limits() if limits is None else limits
        self.connections_max = connections_max
        self.calls_max = calls_max
        self.request_bytes = request_bytes
        self.queue_bytes = queue_bytes
        self.request_timeout_ns = request_timeout_ns
        self.idle_ns = idle_ns
        self.identity = identity
        self.patience_ns = patience_ns
        self.listeners = []
        self.doors = []
        self.sessions = {}

    @property
    def connections(self):
        return self.count()

    def listen(self, str host not None, int port, *, bint hold=False, bint plain=True):
        cdef CallDoor door = CallDoor.__new__(CallDoor)
        if not plain and self.identity is None:
            raise ValueError("without an identity there is plain text only")
        door.server = self
        door.loop = self.loop
        door.identity = self.identity
        door.takes_plain = plain
        door.only_http2 = True
        door.patience_ns = self.patience_ns
        self.doors.append(door)
        listener = Listener(self.loop, (host, port), door, SocketOptions(), None, 4096, hold)
        self.listeners.append(listener)
        return listener.address

    def start(self):
        for listener in self.listeners:
            listener.start()

    def drain(self):
        self.draining = True
        for listener in self.listeners:
            listener.close()
        self.listeners = []
        for door in self.doors:
            (<CallDoor> door).drop_entering()
        self.doors = []
        for session in list(self.sessions):
            (<CallSession> session).drain()

    def abort_all(self):
        for session in list(self.sessions):
            (<CallSession> session).shut()

    cdef int admit(self, Transport transport, bytes identity) except -1:
        cdef CallSession session = CallSession(self, self.limits, proven=identity is not None)
        session.server = self
        session.peer = transport.peer_address()
        session.identity = name_of(identity)
        self.sessions[session] = None
        transport.attach(session)
        if self.draining:
            session.drain()
        return session.rest()

    cdef Py_ssize_t count(self) except -1:
        cdef Py_ssize_t count = len(self.sessions)
        for door in self.doors:
            count += len((<CallDoor> door).entering)
        return count

    cdef bint make_room(self) except -1:
        cdef CallSession session
        if self.count() < self.connections_max:
            return True
        for door in self.doors:
            if (<CallDoor> door).drop_oldest():
                return True
        for session in self.sessions:
            if session.table.count == 0:
                session.shut()
                return True
        self.refused += 1
        return False

    cdef int forget(self, CallSession session) except -1:
        self.sessions.pop(session, None)
        if self.draining and not self.sessions and self.on_empty is not None:
            self.on_empty()
        return 0

    cdef Peer new_exchange(self, Stream half):
        cdef CallSession session = <CallSession> (<Http2Half> half).session
        self.loop.disarm(session.idle)
        return self.new_call(session.peer, session.identity)


cdef class CallDoor(Entry):
    cdef bint make_room(self) except -1:
        return self.server.make_room()

    cdef int admit(self, Transport transport, Protocol protocol, bint secured, bytes peer) except -1:
        return self.server.admit(transport, peer)


cdef class CallSession(Http2Server):
    def __cinit__(self, *args, **kwargs):
        self.idle = Timer(self, IDLE)

    cdef int rest(self) except -1:
        if self.over or self.table.count or not self.server.idle_ns:
            return 0
        return self.loop.arm(self.idle, self, self.server.idle_ns)

    cdef int on_stream_gone(self) except -1:
        return self.rest()

    cdef int on_timer(self, Timer timer) except -1:
        return self.drain() if timer is self.idle else Http2Server.on_timer(self, timer)

    cdef int on_ended(self, FaultKind kind, int code) except -1:
        Http2Server.on_ended(self, kind, code)
        if self.loop is not None:
            self.loop.disarm(self.idle)
        return self.server.forget(self)
