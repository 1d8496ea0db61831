# cython: language_level=3
"""The target table and its targets. The shell installs what it learns; exchanges and opaque connections
choose here.

What the shell calls comes from outside the inner loop, whose time may then be old: those methods read the
clock first.
"""

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.debug cimport LIVE_TARGET, born, gone
from linkerd2_py._ext.exchange.backend cimport UNAVAILABLE_CLOSED, UNAVAILABLE_FAILFAST, UNAVAILABLE_LOOP, UNAVAILABLE_REJECTED, UNAVAILABLE_SHED, WaiterQueue
from weakref import WeakValueDictionary

from linkerd2_py._ext.metrics.labels import make_labels

cdef enum:
    TIMER_FAILFAST = 1
    TIMER_SWEEP = 2

NO_TLS = (("tls", "no_identity"), ("no_tls_reason", "not_provided_by_service_discovery"))
LOOPBACK = (("tls", "no_identity"), ("no_tls_reason", "loopback"))
DISABLED = (("tls", "no_identity"), ("no_tls_reason", "disabled"))
NOT_FROM_REMOTE = (("tls", "no_identity"), ("no_tls_reason", "no_tls_from_remote"))


cdef class EndpointSpec:
    def __init__(self, Address address not None, *, bint h2=False, tuple labels=(), tuple tls=None, ServerIdentity peer=None, Address other=None):
        if other is not None and peer is not None:
            raise ValueError(f"{address}: a peer that proves who it is has one address")
        self.address = address
        self.other = other
        self.h2 = h2
        self.labels = labels
        self.peer = peer
        if tls is None:
            tls = NO_TLS if peer is None else (("tls", "true"), ("server_id", peer.name))
        self.tls = tls

    cdef int same(self, EndpointSpec other) except -1:
        return self.h2 == other.h2 and self.other == other.other and self.labels == other.labels and self.tls == other.tls and self.peer == other.peer

    def __repr__(self):
        return f"EndpointSpec({self.address}, h2={bool(self.h2)}, labels={self.labels!r})"


cdef class Target(Roster):

    def __cinit__(self):
        born(LIVE_TARGET)

    def __dealloc__(self):
        gone(LIVE_TARGET)

    def __init__(self, TargetTable table not None, bytes key not None):
        self.table = table
        self.key = key
        self.port = int(key.rpartition(b":")[2])
        self.logical = key
        self.labels = ()
        self.endpoints = {}
        self.specs = {}
        self.parked = WaiterQueue.__new__(WaiterQueue)
        self.queue = WaiterQueue.__new__(WaiterQueue)
        self.given_up = WaiterQueue.__new__(WaiterQueue)
        self.routers = WeakValueDictionary()
        self.last_router = None
        self.http = {}
        settings = table.settings
        self.ready = ReadySet(
            decay_ns=settings.decay_ns, default_rtt_ns=settings.default_rtt_ns, penalizes=settings.penalizes_failures,
            max_hold_ns=settings.max_retry_after_ns,
        )
        self.failfast = Timer(self, TIMER_FAILFAST)
        self.last_used = table.loop.now

    def __repr__(self):
        return f"<Target {self.key.decode(errors='replace')} endpoints={len(self.endpoints)} ready={self.ready.size()}>"

    # ---- from traffic

    cdef int choose(self, Waiter waiter) except -1:
        cdef Endpoint endpoint = None
        self.last_used = 0 if self.closed else self.table.loop.now
        if self.closed:
            return waiter.on_unavailable(UNAVAILABLE_CLOSED, 503, b"target closed")
        if self.rejected_status:
            return waiter.on_unavailable(self.rejected_why, self.rejected_status, self.rejected_text)
        # Nobody overtakes those who are being let go.
        if self.queue.count == 0:
            endpoint = self.pick()
        if endpoint is not None:
            return waiter.on_backend(endpoint)
        if self.gate_shut or self.queue.count >= self.table.settings.queue_capacity:
            return waiter.on_unavailable(UNAVAILABLE_SHED, 503, b"service unavailable: no endpoint is ready")
        self.queue.append(waiter)
        return self.expect_ready()

    cdef int await_profile(self, Waiter waiter) except -1:
        if self.closed:
            return waiter.on_unavailable(UNAVAILABLE_CLOSED, 503, b"target closed")
        if self.rejected_status:
            return waiter.on_unavailable(self.rejected_why, self.rejected_status, self.rejected_text)
        if self.configured and self.parked.count == 0:
            return waiter.on_profile(self.opaque)
        self.parked.append(waiter)
        return self.expect_ready()

    cdef int withdraw(self, Waiter waiter) except -1:
        waiter.leave()
        return 0 if self.is_awaited() else self.table.loop.disarm(self.failfast)

    cdef bint is_awaited(self) noexcept:
        return self.queue.count > 0 or self.parked.count > 0

    cdef Endpoint pick(self):
        return self.single if self.single is not None else <Endpoint> self.ready.pick(self.table.loop.now)

    cdef int expect_ready(self) except -1:
        """The fail-fast period runs from the moment somebody had to wait."""
        if not self.failfast.armed:
            self.table.loop.arm(self.failfast, self, self.table.settings.failfast_ns)
        return 0

    cdef int on_timer(self, Timer timer) except -1:
        """Nothing became ready in time: what waits fails, what comes is shed until an endpoint is ready."""
        if self.queue.count and (self.single is not None or self.ready.size()):
            # They are being let go.
            return self.expect_ready()
        self.gate_shut = self.queue.count > 0
        return self.fail_waiting(UNAVAILABLE_FAILFAST, 504, b"logical service in fail-fast")

    cdef int fail_waiting(self, Unavailable why, int status, bytes text) except -1:
        self.given_up.take_all(self.queue)
        self.given_up.take_all(self.parked)
        self.given_up_why = why
        self.given_up_status = status
        self.given_up_text = text
        return self.table.loop.defer(self)

    cdef int on_broken(self) except -1:
        """Whoever waits still does, and not for ever."""
        return self.expect_ready() if self.is_awaited() or self.given_up.count else 0

    # ---- letting go

    cdef int on_deferred(self) except -1:
        cdef Loop loop = self.table.loop
        cdef WaiterQueue left
        cdef Waiter waiter = self.next_to_go()
        while waiter is not None:
            left = waiter.queue
            waiter.leave()
            try:
                self.let_go(waiter, left)
            except Exception as error:
                loop.blame(error, waiter)
            if loop.is_spent():
                return loop.defer(self)
            waiter = self.next_to_go()
        # Where an endpoint failed meanwhile, the wait begins anew.
        return self.expect_ready() if self.is_awaited() else loop.disarm(self.failfast)

    cdef Waiter next_to_go(self):
        if self.given_up.count:
            return self.given_up.first
        if self.configured and self.parked.count:
            return self.parked.first
        return self.queue.first if self.single is not None or self.ready.size() else None

    cdef int let_go(self, Waiter waiter, WaiterQueue left) except -1:
        cdef Endpoint endpoint
        if left is self.given_up:
            return waiter.on_unavailable(self.given_up_why, self.given_up_status, self.given_up_text)
        if left is self.parked:
            return waiter.on_profile(self.opaque)
        endpoint = self.pick()
        return self.choose(waiter) if endpoint is None else waiter.on_backend(endpoint)

    # ---- from endpoints

    cdef int on_ready(self, Endpoint endpoint) except -1:
        if self.closed or endpoint.removed:
            return 0
        self.ready.add(endpoint, self.table.loop.now)
        return self.release_queue()

    cdef int on_failing(self, Endpoint endpoint) except -1:
        return self.ready.remove(endpoint)

    cdef int release_queue(self) except -1:
        self.gate_shut = False
        if self.parked.count == 0:
            self.table.loop.disarm(self.failfast)
        return self.table.loop.defer(self) if self.queue.count else 0

    # ---- from the shell

    def configure(self, *, bint opaque=False, bint http=False, bytes logical=None, tuple labels=()):
        """The profile is known: connections parked for it go on. May be called again when it changes (new
        connections follow it)."""
        self.table.loop.now = now_ns()
        self.configured = True
        self.opaque = opaque
        self.only_http = http
        self.labels = labels
        self.http = {}
        if logical is not None:
            self.logical = logical
        if self.queue.count == 0:
            self.table.loop.disarm(self.failfast)
        if self.parked.count:
            self.table.loop.defer(self)

    def replace(self, list specs not None):
        """Makes the set exactly `specs`; endpoints that stay keep their connections and load."""
        wanted = {(<EndpointSpec> spec).address for spec in specs}
        self.add(specs)
        self.remove([address for address in self.endpoints if address not in wanted])

    def add(self, list specs not None):
        self.table.loop.now = now_ns()
        cdef EndpointSpec spec
        cdef Endpoint known
        self.unreject()
        self.drop_single()
        for spec in specs:
            known = self.endpoints.get(spec.address)
            if known is not None:
                if spec.same(self.specs[spec.address]) and known.opaque == self.opaque:
                    continue
                self.remove([spec.address])
            self.specs[spec.address] = spec
            self.endpoints[spec.address] = self.make(spec, False)
            (<Endpoint> self.endpoints[spec.address]).open()

    def remove(self, list addresses not None):
        cdef Endpoint endpoint
        self.table.loop.now = now_ns()
        for address in addresses:
            endpoint = self.endpoints.pop(address, None)
            if endpoint is not None:
                self.specs.pop(address, None)
                self.ready.remove(endpoint)
                endpoint.close()

    def forward(self, EndpointSpec spec not None):
        """One endpoint without balancing; connect errors are answered at once."""
        self.table.loop.now = now_ns()
        self.remove(list(self.endpoints))
        self.drop_single()
        self.unreject()
        self.single = self.make(spec, True)
        self.single.open()
        self.release_queue()

    def reject(self, int status, str text not None):
        """Every request is answered with `status` until the shell says otherwise."""
        self.refuse(UNAVAILABLE_REJECTED, status, text.encode("ascii", "replace"))

    def reject_loop(self):
        """The same because the target is this proxy itself."""
        self.refuse(UNAVAILABLE_LOOP, 502 if self.table.direction == "outbound" else 403, b"request loop: the target is this proxy")

    def endpoints_state(self):
        """One dict an endpoint: address, ready, pending, rtt_ms, and failing, the share of its recent
        exchanges that failed as it is believed now."""
        cdef Endpoint endpoint
        self.table.loop.now = now_ns()
        singles = [] if self.single is None else [self.single]
        return [
            {
                "address": str(endpoint.address), "ready": endpoint.alone or endpoint.position >= 0, "pending": endpoint.pending,
                "rtt_ms": endpoint.ewma.estimate_ns / 1e6, "failing": round(endpoint.failing(self.table.loop.now), 3),
            }
            for endpoint in [*self.endpoints.values(), *singles]
        ]

    def close(self):
        """In flight finish, what waits fails. Idempotent; TargetTable.remove calls it."""
        if self.closed:
            return
        self.closed = True
        self.table.loop.disarm(self.failfast)
        self.fail_waiting(UNAVAILABLE_CLOSED, 503, b"target closed")
        self.routers = WeakValueDictionary()
        self.last_router = None
        self.remove(list(self.endpoints))
        self.drop_single()

    @property
    def in_use(self):
        return self.live

    @property
    def is_opaque(self):
        return bool(self.opaque)

    cdef int drop_single(self) except -1:
        cdef Endpoint single = self.single
        self.single = None
        return 0 if single is None else single.close()

    cdef int refuse(self, Unavailable why, int status, bytes text) except -1:
        self.rejected_why = why
        self.rejected_status = status
        self.rejected_text = text
        return self.fail_waiting(why, status, text)

    cdef int unreject(self) except -1:
        self.rejected_status = 0
        self.rejected_text = None
        return 0

    cdef Endpoint make(self, EndpointSpec spec, bint alone):
        cdef Endpoint endpoint
        cdef LocalIdentity local = None if spec.peer is None else self.table.identity
        if spec.peer is not None and local is None:
            raise ValueError(f"{spec.address} answers as {spec.peer.name}, and this table has no identity to call it with")
        endpoint = Endpoint(
            self, self.table.loop, self.table.settings, spec.address, h2=spec.h2, alone=alone, opaque=self.opaque, local=local, peer=spec.peer,
            other=spec.other,
        )
        endpoint.http_labels = make_labels(self.endpoint_labels(spec))
        endpoint.in_pod = self.table.direction == "inbound"
        if not endpoint.in_pod:
            endpoint.http = self.table.registry.http(self.table.metrics_prefix, endpoint.http_labels)
        endpoint.tcp = self.table.registry.tcp(make_labels([("direction", self.table.direction), ("peer", "dst"), *spec.tls, *self.dst_labels(spec)]))
        return endpoint

    def endpoint_labels(self, EndpointSpec spec):
        """The labels of request_total and its siblings for one endpoint, in Linkerd's order. Inbound, those
        of the client follow (`Client.labels`)."""
        address = spec.address
        inbound = self.table.direction == "inbound"
        name = () if inbound else (("authority", self.logical.decode("ascii", "replace")),)
        tls = () if inbound else spec.tls
        return [
            ("direction", self.table.direction), *name, ("target_addr", str(address)), ("target_ip", address.host), ("target_port", str(address.port)),
            *tls, *self.dst_labels(spec),
        ]

    cdef tuple dst_labels(self, EndpointSpec spec):
        return tuple((f"dst_{name}", value) for name, value in (*self.labels, *spec.labels))

    cdef HttpMetrics unplaced(self, tuple tls):
        """Where exchanges are counted that never got an endpoint."""
        cdef HttpMetrics found = self.http.get(tls)
        if found is None:
            labels = [("direction", self.table.direction), ("authority", self.logical.decode("ascii", "replace")), *tls]
            labels += [(f"dst_{name}", value) for name, value in self.labels]
            found = self.http[tls] = self.table.registry.http(self.table.metrics_prefix, make_labels(labels))
        return found


cdef class TargetTable(Actor):

    def __init__(self, Loop loop not None, Registry registry not None, *, str direction, PoolSettings settings, on_unknown_target, on_idle_target=None,
                 idle_ns=5_000_000_000, bytes metrics_prefix=b"", LocalIdentity identity=None):
        self.loop = loop
        self.registry = registry
        self.direction = direction
        self.settings = settings
        self.identity = identity
        self.on_unknown_target = on_unknown_target
        self.on_idle_target = on_idle_target
        self.idle_ns = idle_ns
        self.by_key = {}
        self.metrics_prefix = metrics_prefix
        self.sweep = Timer(self, TIMER_SWEEP)

    cdef Target find(self, bytes key):
        cdef Target target = self.by_key.get(key)
        if target is None:
            target = self.install(key)
            self.watch_idle()
            self.on_unknown_target(target)
        return target

    cdef Target current(self, Target target):
        return self.find(target.key) if target.closed else target

    def lookup(self, bytes key not None):
        """The target of that key, asking the shell when it is new: as traffic does."""
        self.loop.now = now_ns()
        return self.find(key)

    def install(self, bytes key not None):
        """The target of that key without asking the shell (static targets)."""
        target = self.by_key.get(key)
        if target is None:
            target = self.by_key[key] = Target(self, key)
        return target

    def remove(self, Target target not None):
        if self.by_key.get(target.key) is target:
            del self.by_key[target.key]
        target.close()

    def targets(self):
        return list(self.by_key.values())

    def close(self):
        self.loop.disarm(self.sweep)
        for target in self.targets():
            self.remove(target)

    cdef int watch_idle(self) except -1:
        if self.on_idle_target is not None and not self.sweep.armed:
            self.loop.arm(self.sweep, self, self.idle_ns)
        return 0

    cdef int on_broken(self) except -1:
        return self.watch_idle()

    cdef int on_timer(self, Timer timer) except -1:
        """Tells the shell which targets nobody used for a while; it decides what goes."""
        cdef Target target
        cdef int64_t limit = self.loop.now - self.idle_ns
        for target in self.targets():
            if target.live == 0 and target.last_used <= limit:
                self.on_idle_target(target)
        return self.watch_idle() if self.by_key else 0
