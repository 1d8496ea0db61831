# cython: language_level=3
"""Python doors to endpoints and their connections; not part of a wheel."""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.balance.accrual cimport VERDICT_FAILURE, VERDICT_SUCCESS, Accrual, Step, state_name
from linkerd2_py._ext.core.fault cimport FAULT_LOCAL, FaultKind, fault_text
from linkerd2_py._ext.exchange.backend cimport (
    WANTS_HTTP1,
    WANTS_HTTP2,
    WANTS_TRANSPORT,
    Backend,
    Unavailable,
    Waiter,
    Wants,
)
from linkerd2_py._ext.exchange.head cimport (
    FORM_ORIGIN,
    H_HOST,
    HTTP_11,
    Head,
    drop_head,
    method_id,
    take_head,
)
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.http1.client cimport Http1Client
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.pool.backoff cimport backoff_ns
from linkerd2_py._ext.pool.endpoint cimport HEALTH_FAILING, HEALTH_READY, Endpoint, Roster
from linkerd2_py._ext.pool.idle cimport IdleConnections
from linkerd2_py._ext.pool.settings cimport PoolSettings

cdef dict WANTED = {"http1": WANTS_HTTP1, "http2": WANTS_HTTP2, "transport": WANTS_TRANSPORT}


cdef str said(FaultKind kind):
    return (<bytes> fault_text(kind)).decode()


cdef class Asker(Waiter):
    """Waits for a stream or a connection and writes down what it is told."""
    cdef readonly list events
    cdef Stream half
    cdef Transport transport

    def __cinit__(self):
        self.events = []

    cdef int on_backend(self, Backend backend) except -1:
        self.events.append(("backend",))
        return 0

    cdef int on_unavailable(self, Unavailable why, int status, bytes text) except -1:
        self.events.append(("unavailable", status, text))
        return 0

    cdef int on_backend_failed(self, FaultKind kind, int code) except -1:
        self.events.append(("failed", said(kind)))
        return 0

    cdef int on_stream(self, Stream half) except -1:
        self.half = half
        self.events.append(("stream", "kept" if half.pooled else "new"))
        return 0

    cdef int on_transport(self, Transport transport) except -1:
        self.transport = transport
        self.events.append(("transport", "paused" if transport.pauses else "reading"))
        return 0

    cdef int on_response_head(self, Head head) except -1:
        self.events.append(("head", head.status))
        return 0

    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1:
        self.events.append(("body", p[:n], end))
        return 0

    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1:
        self.half = None
        self.events.append(("reset", said(kind), refused))
        return 0

    cdef int on_request_room(self) except -1:
        return 0

    def get(self, bytes authority=b"a"):
        """Sends a whole GET on the stream it was given."""
        cdef Head head = take_head()
        head.version = HTTP_11
        head.method.ptr, head.method.len = b"GET", 3
        head.method_id = method_id(b"GET", 3)
        head.form = FORM_ORIGIN
        head.scheme.ptr, head.scheme.len = b"http", 4
        head.path.ptr, head.path.len = b"/", 1
        head.target = head.path
        head.authority.ptr, head.authority.len = authority, len(authority)
        head.end = True
        try:
            head.put("host", 4, authority, len(authority), H_HOST)
            self.half.send_head(head)
        finally:
            drop_head(head)

    def reset(self):
        self.half.reset(FAULT_LOCAL, 0)

    def hang_up(self):
        """Ends the connection it was given."""
        self.transport.abort()


cdef class Told(Roster):
    """A target that writes down what it hears of its endpoint."""
    cdef list told

    cdef int on_ready(self, Endpoint endpoint) except -1:
        self.told.append("ready")
        return 0

    cdef int on_failing(self, Endpoint endpoint) except -1:
        self.told.append("failing")
        return 0

    cdef bint can_spare(self, Endpoint endpoint) noexcept:
        return True

    cdef int on_breaker(self, Endpoint endpoint, Step step, int64_t wait_ns) except -1:
        self.told.append(state_name(endpoint.breaker))
        return 0


cdef class Door:
    """An endpoint; `told` is what its target heard."""
    cdef Endpoint endpoint
    cdef readonly list told

    def __init__(
        self, Loop loop, tuple where, PoolSettings settings, *, bint h2=False, bint alone=False,
        bint opaque=False, tuple other=None,
    ):
        cdef Told roster = Told.__new__(Told)
        roster.told = self.told = []
        self.endpoint = Endpoint(
            roster, loop, settings, Address(*where), h2=h2, alone=alone, opaque=opaque,
            other=None if other is None else Address(*other),
        )

    def open(self):
        self.endpoint.open()

    def close(self):
        self.endpoint.close()

    def now(self):
        return self.endpoint.loop.now

    def guard(self, Accrual accrual):
        self.endpoint.guard(accrual)

    def hear(self, bint success):
        """An exchange that was sent now, and that ends now."""
        cdef int64_t now = self.endpoint.loop.now
        self.endpoint.hear(VERDICT_SUCCESS if success else VERDICT_FAILURE, now, 0, now)

    def probe(self):
        self.endpoint.begin_probe()

    def ask(self, str wants="http1", *, int64_t fresh_since=0):
        cdef Asker asker = Asker.__new__(Asker)
        cdef int wanted = WANTED[wants]
        asker.fresh_since = fresh_since
        self.endpoint.serve(asker, <Wants> wanted)
        return asker

    def withdraw(self, Asker asker not None):
        self.endpoint.withdraw(asker)

    def address(self):
        return self.endpoint.address.host, self.endpoint.address.port

    def at(self):
        return self.endpoint.at.host, self.endpoint.at.port

    def state(self):
        cdef Endpoint endpoint = self.endpoint
        return {
            "ready": endpoint.health == HEALTH_READY, "failing": endpoint.health == HEALTH_FAILING,
            "failures": endpoint.failures, "idle": endpoint.idle.count,
            "spare": endpoint.has_spare(WANTS_HTTP1), "shared": len(endpoint.multiplexed),
            "dialing": endpoint.dialing_http1 + endpoint.dialing_http2,
            "waiting": endpoint.waiting_http1.count + endpoint.waiting_http2.count,
        }


cdef class Idle:
    """The idle connections of nobody."""
    cdef IdleConnections connections

    def __cinit__(self):
        self.connections = IdleConnections.__new__(IdleConnections)

    def push(self, Http1Client client not None):
        self.connections.push(client)

    def pop(self):
        return self.connections.pop()

    def pop_oldest(self):
        return self.connections.pop_oldest()

    def remove(self, Http1Client client not None):
        self.connections.remove(client)

    def __len__(self):
        return self.connections.count


def delay_ns(PoolSettings settings not None, int failures):
    return backoff_ns(settings, failures)
