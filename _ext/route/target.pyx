# cython: language_level=3
"""One target. The shell installs what it learns; exchanges and opaque connections choose here.

What the shell calls comes from outside the inner loop, whose time may then be old: those methods read the
clock first.
"""

from weakref import WeakValueDictionary

from linkerd2_py._ext.balance.accrual cimport (
    BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBATION, STEP_CLOSE, STEP_REOPEN, STEP_TRIP, STEP_WAIT, Breaker,
    state_name,
)
from linkerd2_py._ext.balance.ewma cimport ewma_load
from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.debug cimport LIVE_TARGET, born, gone
from linkerd2_py._ext.exchange.backend cimport (
    UNAVAILABLE_CLOSED,
    UNAVAILABLE_FAILFAST,
    UNAVAILABLE_LOOP,
    UNAVAILABLE_REJECTED,
    UNAVAILABLE_SHED,
    WaiterQueue,
)

from linkerd2_py._ext.metrics.balancer cimport balancer_metrics, breaker_metrics
from linkerd2_py._ext.metrics.series cimport L5D_METRICS
from linkerd2_py._ext.route.tally cimport key_labels, new_tally, target_labels

from linkerd2_py._ext.exchange.plan cimport Plan
from linkerd2_py._ext.metrics.labels import make_labels
from linkerd2_py._ext.policy.route_table cimport RouteTable
from linkerd2_py._ext.pool.endpoint cimport HEALTH_READY

cdef int64_t SECOND_NS = 1000000000
cdef double WHOLE = 10000.0

cdef bytes TLS = b'protocol="tls"'

# Of a target whose routes are asked for: its requests wait for them as connections wait for its profile.
cdef RouteTable AWAITED = RouteTable(otherwise=Plan(pending=True))


cdef class Side(Actor):

    def __cinit__(self, *_words, **_options):
        self.siblings = set()


cdef class Target(Roster):

    def __cinit__(self):
        born(LIVE_TARGET)

    def __dealloc__(self):
        gone(LIVE_TARGET)

    def __init__(self, Side side not None, bytes key not None):
        self.side = side
        self.key = key
        self.port = int(key.rpartition(b":")[2])
        self.logical = key
        self.labels = ()
        self.owner = self.backend = b""
        self.protocol = b'protocol="detect"'
        self.endpoints = {}
        self.specs = {}
        self.parked = WaiterQueue.__new__(WaiterQueue)
        self.queue = WaiterQueue.__new__(WaiterQueue)
        self.given_up = WaiterQueue.__new__(WaiterQueue)
        self.routers = WeakValueDictionary()
        self.last_router = None
        self.http = {}
        self.ready = self.new_set()
        self.breaker_told_ns = -SECOND_NS
        self.failfast = Timer(self, 0)
        self.last_used = side.loop.now

    cdef ReadySet new_set(self):
        cdef PoolSettings settings = self.side.settings
        return ReadySet(
            decay_ns=settings.decay_ns, default_rtt_ns=settings.default_rtt_ns,
            penalizes=settings.penalizes_failures, max_hold_ns=settings.max_retry_after_ns,
        )

    def __repr__(self):
        name = self.key.decode(errors="replace")
        return f"<Target {name} endpoints={len(self.endpoints)} ready={self.ready.size()}>"

    # ---- from traffic

    cdef int choose(self, Waiter waiter) except -1:
        cdef Endpoint endpoint = None
        self.last_used = 0 if self.closed else self.side.loop.now
        if self.closed:
            return waiter.on_unavailable(UNAVAILABLE_CLOSED, 503, b"target closed")
        if self.rejected_status:
            return waiter.on_unavailable(self.rejected_why, self.rejected_status, self.rejected_text)
        # Nobody overtakes those who are being let go.
        if self.queue.count == 0:
            endpoint = self.pick(waiter)
        if endpoint is not None:
            return waiter.on_backend(endpoint)
        if self.gate_shut or self.queue.count >= self.side.settings.queue_capacity:
            return waiter.on_unavailable(UNAVAILABLE_SHED, 503, b"service unavailable: no endpoint is ready")
        waiter.since = self.side.loop.now
        self.queue.append(waiter)
        self.balance()
        if self.balancing is not None:
            self.balancing.requests.count += 1
        return self.expect_ready()

    cdef int await_profile(self, Waiter waiter) except -1:
        if self.closed:
            return waiter.on_unavailable(UNAVAILABLE_CLOSED, 503, b"target closed")
        if self.rejected_status:
            return waiter.on_unavailable(self.rejected_why, self.rejected_status, self.rejected_text)
        if self.configured and self.parked.count == 0:
            return waiter.on_profile(self.is_carried())
        self.parked.append(waiter)
        return self.expect_ready()

    cdef int left(self, int64_t now) except -1:
        self.live -= 1
        self.last_used = now
        if self.retired and self.live == 0:
            self.close()
        return 0

    cdef int withdraw(self, Waiter waiter) except -1:
        waiter.leave()
        self.note_balance()
        return 0 if self.is_awaited() else self.side.loop.disarm(self.failfast)

    cdef bint is_carried(self) noexcept:
        return self.opaque and (self.connections is None or self.connections.plain)

    cdef bint is_ready(self) noexcept:
        if self.closed or self.rejected_status:
            return False
        return self.single is not None or self.ready.size() > 0

    cdef bint is_awaited(self) noexcept:
        return self.queue.count > 0 or self.parked.count > 0

    cdef bint has_choice(self) noexcept:
        if self.single is not None or self.ready.size():
            return True
        return self.accrual is not None and (len(self.trials) > 0 or self.aside.size() > 0)

    cdef Endpoint pick(self, Waiter waiter):
        if self.accrual is not None:
            return self.pick_guarded(waiter)
        return self.single if self.single is not None else <Endpoint> self.ready.pick(self.side.loop.now)

    cdef Endpoint pick_guarded(self, Waiter waiter):
        """Whoever can tries one whose time is over. Where no endpoint is ready, one that is out is better
        than none: it may have recovered, and else says in its own words what is wrong."""
        cdef Endpoint endpoint = self.single
        if endpoint is not None:
            return endpoint
        if self.trials and waiter.may_probe():
            endpoint = self.trials[0]
            endpoint.begin_probe()
            self.place(endpoint)
            return endpoint
        endpoint = <Endpoint> self.ready.pick(self.side.loop.now)
        if endpoint is None:
            endpoint = <Endpoint> self.aside.pick(self.side.loop.now)
        return <Endpoint> self.trials[0] if endpoint is None and self.trials else endpoint

    cdef int expect_ready(self) except -1:
        """The fail-fast period runs from the moment somebody had to wait."""
        if not self.failfast.armed:
            self.side.loop.arm(self.failfast, self, self.side.settings.failfast_ns)
        return 0

    cdef int on_timer(self, Timer timer) except -1:
        """Nothing became ready in time: what waits fails, what comes is shed until an endpoint is ready."""
        if self.queue.count and self.has_choice():
            # They are being let go.
            return self.expect_ready()
        self.gate_shut = self.queue.count > 0
        if self.gate_shut and self.balancing is not None:
            self.balancing.shuts.count += 1
        return self.fail_waiting(UNAVAILABLE_FAILFAST, 504, b"logical service in fail-fast")

    cdef int fail_waiting(self, Unavailable why, int status, bytes text) except -1:
        self.given_up.take_all(self.queue)
        # Those who wait for the profile alone go on as soon as it is known, and hear this in the words of
        # what they speak.
        if self.closed or not self.configured:
            self.given_up.take_all(self.parked)
        self.given_up_why = why
        self.given_up_status = status
        self.given_up_text = text
        self.note_balance()
        return self.side.loop.defer(self)

    cdef int on_broken(self) except -1:
        """Whoever waits still does, and not for ever."""
        return self.expect_ready() if self.is_awaited() or self.given_up.count else 0

    # ---- letting go

    cdef int on_deferred(self) except -1:
        cdef Loop loop = self.side.loop
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
                self.note_balance()
                return loop.defer(self)
            waiter = self.next_to_go()
        self.note_balance()
        # Where an endpoint failed meanwhile, the wait begins anew.
        return self.expect_ready() if self.is_awaited() else loop.disarm(self.failfast)

    cdef Waiter next_to_go(self):
        if self.given_up.count:
            return self.given_up.first
        if self.configured and self.parked.count:
            return self.parked.first
        return self.queue.first if self.has_choice() else None

    cdef int let_go(self, Waiter waiter, WaiterQueue left) except -1:
        cdef Endpoint endpoint
        if left is self.given_up:
            return waiter.on_unavailable(self.given_up_why, self.given_up_status, self.given_up_text)
        if left is self.parked:
            return waiter.on_profile(self.is_carried())
        endpoint = self.pick(waiter)
        if endpoint is None:
            return self.choose(waiter)
        if self.balancing is not None:
            self.balancing.waited(self.side.loop.now - waiter.since)
        return waiter.on_backend(endpoint)

    # ---- from endpoints

    cdef int on_ready(self, Endpoint endpoint) except -1:
        if self.closed or endpoint.removed:
            return 0
        self.place(endpoint)
        self.note_balance()
        return self.release_queue()

    cdef int on_failing(self, Endpoint endpoint) except -1:
        self.take_away(endpoint)
        return self.note_balance()

    cdef int place(self, Endpoint endpoint) except -1:
        """Where its health and its breaker put it."""
        cdef ReadySet wanted = self.ready
        if endpoint.breaker is not None and endpoint.breaker.state != BREAKER_CLOSED:
            wanted = self.aside if endpoint.breaker.state != BREAKER_PROBATION else None
        if endpoint.position >= 0 and endpoint.home is wanted and endpoint.health == HEALTH_READY:
            return 0
        self.take_away(endpoint)
        if endpoint.health != HEALTH_READY:
            return 0
        if wanted is None:
            self.trials.append(endpoint)
            return 0
        return wanted.add(endpoint, self.side.loop.now)

    cdef int take_away(self, Endpoint endpoint) except -1:
        if endpoint.position >= 0:
            return endpoint.home.remove(endpoint)
        if self.trials and endpoint in self.trials:
            self.trials.remove(endpoint)
        return 0

    # ---- from their breakers

    cdef bint can_spare(self, Endpoint endpoint) noexcept:
        """At least half of the set stays, so never none of it, and as many as was agreed. What fails
        everywhere is the service: with fewer endpoints it would fail for more of those that call it."""
        cdef Py_ssize_t left = self.ready.size()
        if endpoint.position >= 0 and endpoint.home is self.ready:
            left -= 1
        return left * 2 >= len(self.endpoints) and left >= <Py_ssize_t> self.accrual.min_ready

    cdef int on_breaker(self, Endpoint endpoint, Step step, int64_t wait_ns) except -1:
        cdef bint kept = step == STEP_TRIP and endpoint.breaker.state == BREAKER_CLOSED
        self.place(endpoint)
        self.note_balance()
        self.count_breaker(step, kept)
        if (step == STEP_WAIT or step == STEP_CLOSE) and self.has_choice():
            self.release_queue()
        if step == STEP_CLOSE or (step == STEP_TRIP and not kept):
            self.tell_breaker(endpoint, wait_ns)
        return 0

    cdef int count_breaker(self, Step step, bint kept) except -1:
        cdef BreakerMetrics counts = self.breaking
        if counts is None:
            return 0
        if kept:
            counts.kept.count += 1
        elif step == STEP_TRIP:
            counts.opened.count += 1
        elif step == STEP_REOPEN:
            counts.reopened.count += 1
        elif step == STEP_CLOSE:
            counts.closed.count += 1
        return 0

    cdef int tell_breaker(self, Endpoint endpoint, int64_t wait_ns) except -1:
        cdef int64_t now = self.side.loop.now
        cdef uint32_t untold = self.breaker_untold
        if self.side.on_breaker is None:
            return 0
        if now - self.breaker_told_ns < SECOND_NS:
            self.breaker_untold += 1
            return 0
        self.breaker_told_ns = now
        self.breaker_untold = 0
        self.side.on_breaker(self, str(endpoint.address), state_name(endpoint.breaker), wait_ns, untold)
        return 0

    cdef int release_queue(self) except -1:
        if self.gate_shut and self.balancing is not None:
            self.balancing.opens.count += 1
        self.gate_shut = False
        if self.parked.count == 0:
            self.side.loop.disarm(self.failfast)
        return self.side.loop.defer(self) if self.queue.count else 0

    # ---- from the shell

    def configure(
        self, *, bint opaque=False, bint http=False, bytes logical=None, tuple labels=(), detect_timeout_ns=0,
        tuple owner=(), tuple backend=(), str protocol="",
    ):
        """The profile is known: connections parked for it go on. May be called again when it changes (new
        connections follow it)."""
        self.side.loop.now = now_ns()
        if self.routes is AWAITED:
            # Who waited for them goes on now, with those that were given before this or with none.
            self.routes = None
        self.configured = True
        self.opaque = opaque
        self.only_http = http
        self.detect_timeout_ns = detect_timeout_ns
        self.labels = labels
        self.http = {}
        if logical is not None:
            self.logical = logical
        protocol = protocol or ("opaq" if opaque else "detect")
        self.belong(make_labels(owner), make_labels(backend), make_labels([("protocol", protocol)]))
        if self.queue.count == 0:
            self.side.loop.disarm(self.failfast)
        if self.parked.count:
            self.side.loop.defer(self)

    def await_routes(self):
        """Requests that come before `configure` wait for it, and then follow the routes of that moment. It
        may have been something else before: those that wait for an endpoint of that fail."""
        self.side.loop.now = now_ns()
        self.routes = AWAITED
        self.connections = None
        self.configured = False
        if self.queue.count:
            self.fail_waiting(UNAVAILABLE_CLOSED, 503, b"what the target is has changed")

    def guard(self, Accrual accrual=None):
        """Its endpoints have breakers from now on, or none; where what is agreed is another, new ones."""
        cdef Endpoint endpoint
        if accrual is self.accrual or (
            accrual is not None and self.accrual is not None and accrual.same(self.accrual)
        ):
            return
        self.side.loop.now = now_ns()
        for endpoint in self.endpoints.values():
            self.take_away(endpoint)
            endpoint.guard(accrual)
        self.accrual = accrual
        self.trials = None if accrual is None else []
        self.aside = None if accrual is None else self.new_set()
        for endpoint in self.endpoints.values():
            self.place(endpoint)
        self.note_breakers()
        self.note_balance()
        if self.has_choice():
            self.release_queue()

    def sibling(self, bytes key not None):
        """A target of the same side that traffic does not find by its key: only routes lead there."""
        made = Target(self.side, key)
        self.side.siblings.add(made)
        return made

    def retire(self):
        """No route leads here any more: it is closed as soon as no exchange uses it."""
        self.retired = True
        if self.live == 0:
            self.close()

    def replace(self, list specs not None):
        """Makes the set exactly `specs`; endpoints that stay keep their connections and load."""
        cdef Py_ssize_t changed
        wanted = {(<EndpointSpec> spec).address for spec in specs}
        changed = self.take_in(specs)
        changed += self.let_out([address for address in self.endpoints if address not in wanted])
        if self.balancing is not None and changed:
            self.balancing.resets.count += 1

    def add(self, list specs not None):
        cdef Py_ssize_t changed = self.take_in(specs)
        if self.balancing is not None:
            self.balancing.adds.count += changed

    def remove(self, list addresses not None):
        cdef Py_ssize_t changed = self.let_out(addresses)
        if self.balancing is not None:
            self.balancing.removes.count += changed

    cdef Py_ssize_t take_in(self, list specs) except -1:
        """How many are new, or something else than they were."""
        cdef EndpointSpec spec
        cdef Endpoint known
        cdef Py_ssize_t changed = 0
        self.side.loop.now = now_ns()
        self.unreject()
        self.drop_single()
        self.balance()
        for spec in specs:
            known = self.endpoints.get(spec.address)
            if known is not None:
                if spec.same(self.specs[spec.address]) and known.opaque == (self.opaque or spec.opaque):
                    self.weigh(known, spec)
                    continue
                self.let_out([spec.address])
            changed += 1
            self.ready.near_known += spec.near
            self.specs[spec.address] = spec
            self.endpoints[spec.address] = self.make(spec, False)
            (<Endpoint> self.endpoints[spec.address]).open()
        self.note_balance()
        return changed

    cdef int weigh(self, Endpoint endpoint, EndpointSpec spec) except -1:
        """What it weighs from now on, and whether it is near. What it is connected to, it stays."""
        cdef EndpointSpec before = self.specs[spec.address]
        self.specs[spec.address] = spec
        if spec.weight == before.weight and spec.near == before.near:
            return 0
        self.ready.near_known += spec.near - before.near
        self.take_away(endpoint)
        endpoint.weight, endpoint.near = spec.weight / WHOLE, spec.near
        return self.place(endpoint)

    cdef Py_ssize_t let_out(self, object addresses) except -1:
        """How many there were."""
        cdef Endpoint endpoint
        cdef Py_ssize_t found = 0
        self.side.loop.now = now_ns()
        for address in addresses:
            endpoint = self.endpoints.pop(address, None)
            if endpoint is not None:
                found += 1
                self.ready.near_known -= (<EndpointSpec> self.specs.pop(address)).near
                self.take_away(endpoint)
                endpoint.close()
        self.note_balance()
        return found

    def forward(self, EndpointSpec spec not None):
        """One endpoint without balancing; connect errors are answered at once."""
        self.let_out(list(self.endpoints))
        self.drop_single()
        self.unreject()
        self.unbalance()
        if self.side.direction == "inbound":
            self.address_labels = make_labels(target_labels(spec.address))
        self.single_spec = spec
        self.single = self.make(spec, True)
        self.single.open()
        self.release_queue()

    def reject(self, int status, str text not None):
        """Every request is answered with `status` until the shell says otherwise."""
        self.refuse(UNAVAILABLE_REJECTED, status, text.encode("ascii", "replace"))

    def reject_loop(self):
        """The same because the target is this proxy itself."""
        status = 502 if self.side.direction == "outbound" else 403
        self.refuse(UNAVAILABLE_LOOP, status, b"request loop: the target is this proxy")

    def addresses(self):
        """Of its endpoints, ready or not."""
        return list(self.endpoints) if self.single is None else [self.single.address]

    def endpoint_state(self, Address address not None):
        """Of one of them as it is now; None: it is there no more."""
        cdef Endpoint endpoint = self.endpoints.get(address)
        cdef EndpointSpec spec = self.specs.get(address)
        cdef Breaker breaker
        cdef bint is_open
        cdef int64_t now = now_ns()
        if endpoint is None and self.single is not None and self.single.address == address:
            endpoint, spec = self.single, self.single_spec
        if endpoint is None:
            return None
        breaker = endpoint.breaker
        is_open = breaker is not None and breaker.state == BREAKER_OPEN
        return {
            "address": str(endpoint.address),
            "at": str(endpoint.at),
            "ready": endpoint.alone or (endpoint.position >= 0 and endpoint.home is self.ready),
            "weight": endpoint.weight,
            "near": bool(endpoint.near),
            "pending": endpoint.pending,
            "rtt_ms": ewma_load(&endpoint.ewma, now, self.ready.decay_ns, 0) / 1e6,
            "failing": round(endpoint.failing(now), 3),
            "breaker": None if breaker is None else state_name(breaker),
            "open_s": max(0, endpoint.penalty.deadline - now) / 1e9 if is_open else None,
            "labels": dict(spec.labels),
        }

    def endpoints_state(self):
        """All of them."""
        return [self.endpoint_state(address) for address in self.addresses()]

    def close(self):
        """In flight finish, what waits fails. Idempotent; TargetTable.remove calls it."""
        if self.closed:
            return
        self.closed = True
        self.side.siblings.discard(self)
        self.side.loop.disarm(self.failfast)
        self.fail_waiting(UNAVAILABLE_CLOSED, 503, b"target closed")
        self.routers = WeakValueDictionary()
        self.last_router = None
        self.let_out(list(self.endpoints))
        self.drop_single()
        self.unbalance()

    @property
    def waiting(self):
        return self.queue.count

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
        cdef LocalIdentity local = None if spec.peer is None else self.side.identity
        if spec.peer is not None and local is None:
            who = f"{spec.address} answers as {spec.peer.name}"
            raise ValueError(f"{who}, and this table has no identity to call it with")
        endpoint = Endpoint(
            self, self.side.loop, self.side.settings, spec.address, h2=spec.h2, alone=alone,
            opaque=self.opaque or spec.opaque, local=local, peer=spec.peer, other=spec.other,
        )
        endpoint.http_labels = make_labels(self.endpoint_labels(spec))
        endpoint.in_pod = self.side.direction == "inbound"
        if spec.http2 is not None:
            endpoint.http2_limits = spec.http2
        endpoint.pings_idle = spec.pings_idle
        endpoint.weight, endpoint.near = spec.weight / WHOLE, spec.near
        if not alone and self.accrual is not None:
            endpoint.guard(self.accrual)
        if not endpoint.in_pod:
            endpoint.http = self.side.registry.http(self.side.metrics_prefix, endpoint.http_labels)
        addr = () if self.side.addr is None else (("addr", self.side.addr),)
        labels = [("direction", self.side.direction), ("peer", "dst"), *addr, *spec.tls]
        labels += self.dst_labels(spec)
        endpoint.tcp = self.side.registry.tcp(make_labels(labels))
        return endpoint

    def endpoint_labels(self, EndpointSpec spec):
        """The labels of request_total and its siblings for one endpoint, in Linkerd's order. Inbound, those
        of the client follow (`Client.labels`)."""
        if self.side.addr is not None:
            return [("addr", self.side.addr), *spec.tls]
        inbound = self.side.direction == "inbound"
        name = () if inbound else (("authority", self.logical.decode("ascii", "replace")),)
        tls = () if inbound else spec.tls
        return [
            ("direction", self.side.direction), *name, *target_labels(spec.address), *tls,
            *self.dst_labels(spec),
        ]

    # ---- what is counted of it, rather than of its endpoints

    cdef int belong(self, bytes owner, bytes backend, bytes protocol) except -1:
        """Whose it is, and whose its endpoints are; both as text."""
        if owner == self.owner and backend == self.backend and protocol == self.protocol:
            return 0
        self.owner, self.backend, self.protocol = owner, backend, protocol
        self.tally = None
        if self.balancing is not None:
            self.unbalance()
            self.balance()
        return 0

    cdef Tally counts(self):
        cdef bytes address
        if self.tally is None:
            address = key_labels(self.key) if self.address_labels is None else self.address_labels
            self.tally = new_tally(
                self.side.registry, self.side.direction, self.owner, address, self.protocol,
            )
        return self.tally

    cdef int balance(self) except -1:
        """There is a choice to be made: outbound, where nobody said that there is but one endpoint."""
        cdef str prefix = self.side.balances_as
        if self.balancing is not None or self.single is not None or not L5D_METRICS or self.closed:
            return 0
        if prefix is None:
            if self.side.direction != "outbound":
                return 0
            prefix = "outbound_tcp" if self.opaque else "outbound_http"
            if self.protocol == TLS:
                prefix = "outbound_tls"
        labels = b",".join([text for text in (self.owner, self.backend) if text])
        if self.side.addr is not None:
            labels = make_labels([("addr", self.side.addr)])
        self.balancing = balancer_metrics(self.side.registry, prefix.encode(), labels)
        self.note_breakers()
        return self.note_balance()

    cdef int unbalance(self) except -1:
        if self.balancing is not None:
            self.balancing.tell(0, 0, 0)
            self.balancing = self.breaking = None
        return 0

    cdef int note_breakers(self) except -1:
        self.breaking = None
        if self.accrual is not None and self.balancing is not None:
            self.breaking = breaker_metrics(self.side.registry, self.balancing)
        return 0

    cdef int note_balance(self) except -1:
        if self.balancing is None:
            return 0
        return self.balancing.tell(self.ready.size(), len(self.endpoints), self.queue.count)

    # ---- labels

    cdef tuple dst_labels(self, EndpointSpec spec):
        return tuple((f"dst_{name}", value) for name, value in (*self.labels, *spec.labels))

    cdef HttpMetrics unplaced(self, tuple tls):
        """Where exchanges are counted that never got an endpoint."""
        cdef HttpMetrics found = self.http.get(tls)
        if found is None:
            name = self.logical.decode("ascii", "replace")
            labels = [("direction", self.side.direction), ("authority", name), *tls]
            labels += [(f"dst_{name}", value) for name, value in self.labels]
            if self.side.addr is not None:
                labels = [("addr", self.side.addr), *tls]
            found = self.http[tls] = self.side.registry.http(self.side.metrics_prefix, make_labels(labels))
        return found
