# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Connections to one endpoint. `serve` is the way in; a waiter that finds no free connection waits here while
one is dialled."""

from libc.stdint cimport int64_t

from linkerd2_py._ext.balance.accrual cimport (
    STEP_CLOSE, STEP_NONE, STEP_REOPEN, STEP_TRIP, Accrual, Step, Verdict, new_breaker,
)
from linkerd2_py._ext.balance.ewma cimport ewma_init
from linkerd2_py._ext.core.debug cimport LIVE_ENDPOINT, born, gone
from linkerd2_py._ext.core.fault cimport FAULT_EOF, FAULT_LOCAL, FAULT_PROTOCOL, FaultKind, is_ours
from linkerd2_py._ext.exchange.backend cimport (
    UNAVAILABLE_FAILFAST,
    UNAVAILABLE_SHED,
    WANTS_HTTP1,
    WANTS_HTTP2,
    WANTS_TRANSPORT,
)
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport PAUSE_PARKED
from linkerd2_py._ext.pool.backoff cimport backoff_ns, unit_random
from linkerd2_py._ext.pool.settings cimport PoolSettings
from linkerd2_py._ext.tls.identity cimport LocalIdentity, ServerIdentity

cdef enum:
    TIMER_BACKOFF = 1
    TIMER_SWEEP = 2
    TIMER_PATIENCE = 3
    TIMER_PENALTY = 4
    HTTP_1_1_REQUIRED = 13    # RFC 9113 section 7
    # In quarters of all descriptors: from here on nothing is dialled, or kept, that nobody waits for.
    PROBING_ENDS = 2
    KEEPING_ENDS = 3

cdef bytes TOO_MANY_WAIT = b"too many requests wait for a connection to the endpoint"
cdef bytes NOT_IN_TIME = b"the endpoint gave no connection or stream in time"


cdef class Roster(Logical):
    cdef int on_ready(self, Endpoint endpoint) except -1:
        raise NotImplementedError("Roster.on_ready")

    cdef int on_failing(self, Endpoint endpoint) except -1:
        raise NotImplementedError("Roster.on_failing")

    cdef bint can_spare(self, Endpoint endpoint) noexcept:
        return False

    cdef int on_breaker(self, Endpoint endpoint, Step step, int64_t wait_ns) except -1:
        raise NotImplementedError("Roster.on_breaker")


cdef class Endpoint(Dialer):

    def __cinit__(self):
        born(LIVE_ENDPOINT)

    def __dealloc__(self):
        gone(LIVE_ENDPOINT)

    def __init__(
        self, Roster roster, Loop loop, PoolSettings settings, Address address, *, bint h2, bint alone,
        bint opaque, LocalIdentity local=None, ServerIdentity peer=None, Address other=None,
    ):
        self.roster = roster
        self.loop = loop
        self.settings = settings
        self.http2_limits = settings.limits
        self.pings_idle = True
        self.address = self.at = address
        self.other = other
        self.h2 = h2
        self.alone = alone
        self.opaque = opaque
        self.local = local
        self.peer = peer
        self.secured = peer is not None
        self.position = -1
        self.health = HEALTH_NEW
        self.idle = IdleConnections.__new__(IdleConnections)
        self.multiplexed = []
        self.waiting_http1 = WaiterQueue.__new__(WaiterQueue)
        self.waiting_http2 = WaiterQueue.__new__(WaiterQueue)
        self.failed = WaiterQueue.__new__(WaiterQueue)
        self.backoff = Timer(self, TIMER_BACKOFF)
        self.sweep = Timer(self, TIMER_SWEEP)
        self.patience = Timer(self, TIMER_PATIENCE)
        self.streams_allowed = -1
        ewma_init(&self.ewma, settings.default_rtt_ns, loop.now)

    cdef int open(self) except -1:
        self.connections = Connections.__new__(Connections)
        self.connections.endpoint = self
        return 0 if self.alone else self.probe()

    cdef int probe(self) except -1:
        """Shows whether it can be reached, where that is worth a connection; else it is trusted until a
        connect fails. To a server that may speak first it would be a real one, and where discovery names
        more endpoints than there are descriptors, those are for who waits."""
        if self.opaque or self.loop.is_crowded(PROBING_ENDS):
            self.health = HEALTH_READY
            return self.roster.on_ready(self)
        return self.dial(WANTS_HTTP2 if self.h2 else WANTS_HTTP1, None, True)

    # ---- the way in

    cdef int serve(self, Waiter waiter, Wants wants) except -1:
        if self.removed:
            return waiter.on_backend_failed(FAULT_LOCAL, 0)
        if waiter.fresh_since and wants != WANTS_TRANSPORT:
            return self.serve_fresh(waiter, wants)
        if wants == WANTS_HTTP1:
            return self.serve_http1(waiter)
        if wants == WANTS_HTTP2:
            return self.serve_http2(waiter)
        return self.dial(WANTS_TRANSPORT, waiter, False)

    cdef int serve_http1(self, Waiter waiter) except -1:
        cdef Http1Client client
        while self.idle.count:
            client = self.idle.pop()
            if client.reusable:
                return self.hand_out(client.open_stream(waiter), True, waiter)
        if self.has_spare(WANTS_HTTP1):
            client = self.new_http1(self.adopt_spare())
            return self.hand_out(client.open_stream(waiter), False, waiter)
        self.wait(self.waiting_http1, waiter)
        return self.dial_http1()

    cdef int serve_http2(self, Waiter waiter) except -1:
        cdef Http2Client client
        if self.waiting_http2.count == 0:
            for client in self.multiplexed:
                if client.room() > 0:
                    return self.hand_out(client.open_stream(waiter), True, waiter)
        self.wait(self.waiting_http2, waiter)
        return self.dial_http2()

    cdef int serve_fresh(self, Waiter waiter, Wants wants) except -1:
        """What a kept connection lost goes over one that was made since: the others may have ended like the
        first. Over HTTP/2 those that lost the same one share it, whenever each of them comes; beside an older
        one that is kept, each that comes before it is there makes its own, within the bound."""
        cdef Http2Client client
        cdef int64_t since = waiter.fresh_since
        waiter.fresh_since = 0
        if wants == WANTS_HTTP2 and self.keeps_older(since):
            client = self.newer(since)
            if client is not None:
                return self.hand_out(client.open_stream(waiter), client.served, waiter)
            if self.has_room_http2():
                return self.dial(WANTS_HTTP2, waiter, False)
        if wants == WANTS_HTTP1 and self.dialing_http1 < self.settings.max_dials:
            return self.dial(WANTS_HTTP1, waiter, False)
        return self.serve(waiter, wants)

    cdef bint keeps_older(self, int64_t since):
        """Whoever waits for any connection might get one that was made before."""
        cdef Http2Client client
        for client in self.multiplexed:
            if client.connected_at < since:
                return True
        return self.has_spare(WANTS_HTTP2) and self.spare.transport.opened_at < since

    cdef Http2Client newer(self, int64_t since):
        """One that was made since and has a stream to give; None: there is none."""
        cdef Http2Client client
        for client in self.multiplexed:
            if client.connected_at >= since and client.room() > 0:
                return client
        return None

    cdef bint has_room_http2(self):
        return len(self.multiplexed) + self.dialing_http2 < self.settings.http2_max_connections

    cdef int hand_out(self, Stream half, bint pooled, Waiter waiter) except -1:
        half.pooled = pooled
        return waiter.on_stream(half)

    cdef int withdraw(self, Waiter waiter) except -1:
        return waiter.leave()

    # ---- waiting

    cdef int wait(self, WaiterQueue queue, Waiter waiter) except -1:
        if self.waiting_http1.count + self.waiting_http2.count >= self.settings.queue_capacity:
            return waiter.on_unavailable(UNAVAILABLE_SHED, 503, TOO_MANY_WAIT)
        waiter.since = self.loop.now
        queue.append(waiter)
        return 0 if self.patience.armed else self.loop.arm(self.patience, self, self.settings.failfast_ns)

    cdef int run_out(self) except -1:
        """Who has waited for the fail-fast time waits no longer. Where nothing moved all that time, the
        endpoint serves nobody: others are tried first from now on."""
        cdef bint stuck = self.is_stuck()
        self.turn_away(self.waiting_http1)
        self.turn_away(self.waiting_http2)
        self.wait_on()
        return self.become_failing() if stuck and not self.removed else 0

    cdef int turn_away(self, WaiterQueue queue) except -1:
        cdef int64_t limit = self.loop.now - self.settings.failfast_ns
        while queue.count and queue.first.since <= limit:
            queue.pop().on_unavailable(UNAVAILABLE_FAILFAST, 504, NOT_IN_TIME)
            if self.loop.is_spent():
                # The others are a tick late.
                return 0
        return 0

    cdef int wait_on(self) except -1:
        cdef int64_t oldest = self.loop.now
        if self.waiting_http1.count + self.waiting_http2.count == 0 or self.removed:
            return 0
        if self.waiting_http1.count:
            oldest = self.waiting_http1.first.since
        if self.waiting_http2.count:
            oldest = min(oldest, self.waiting_http2.first.since)
        return self.loop.arm(self.patience, self, oldest + self.settings.failfast_ns - self.loop.now)

    cdef bint is_stuck(self):
        """The peer allows no streams; the connections on which it said so are closed."""
        cdef Http2Client client
        cdef int64_t limit = self.loop.now - self.settings.failfast_ns
        cdef bint stuck = self.waiting_http2.count and self.waiting_http2.first.since <= limit
        for client in self.multiplexed:
            stuck = stuck and client.live() == 0
        if stuck:
            for client in list(self.multiplexed):
                client.retire()
            self.multiplexed = []
        return stuck

    # ---- dialling

    cdef int dial_http1(self) except -1:
        """A connection for each waiter, within the bound; one that comes back may serve its waiter first."""
        if self.dialing_http1 < min(self.waiting_http1.count, <Py_ssize_t> self.settings.max_dials):
            return self.dial(WANTS_HTTP1, None, False)
        return 0

    cdef int dial_http2(self) except -1:
        cdef Transport transport
        if not self.needs_http2():
            return 0
        if self.has_spare(WANTS_HTTP2):
            transport = self.adopt_spare()
            return self.serve_waiting_http2(self.new_http2(transport))
        return self.dial(WANTS_HTTP2, None, False)

    cdef bint needs_http2(self):
        """Somebody waits, and one more connection would serve them: a limit that is known is used up on all
        there are. Not where a limit is not known yet, nor where the peer allows no streams at all."""
        cdef Http2Client client
        if self.waiting_http2.count == 0 or self.dialing_http2 or self.removed:
            return False
        if not self.has_room_http2():
            return False
        for client in self.multiplexed:
            if not client.is_used_up():
                return False
        return True

    cdef int dial_for_others(self, Wants wants) except -1:
        """While one waiter's own connect was under way, others may have taken it for the one that would serve
        them."""
        return self.dial_http2() if wants == WANTS_HTTP2 else self.dial_http1()

    cdef int on_dialed(self, Dial dial, Transport transport) except -1:
        if self.removed:
            transport.abort()
            return 0 if dial.waiter is None else dial.waiter.on_backend_failed(FAULT_LOCAL, 0)
        if dial.wants != WANTS_HTTP2:
            self.failures = 0
        self.become_ready()
        self.announce(dial, transport)
        if dial.waiter is not None:
            return self.give_waiter(dial, transport)
        if dial.wants == WANTS_HTTP2 and self.waiting_http2.count:
            return self.serve_waiting_http2(self.new_http2(transport))
        if dial.wants == WANTS_HTTP2 and self.was_told(transport):
            # The peer knows what follows and speaks first: no spare, which nobody would listen on.
            self.new_http2(transport)
            return 0
        if self.waiting_http1.count:
            self.serve_waiting_http1(self.new_http1(transport))
            return self.dial_http1()
        if dial.wants == WANTS_HTTP1 and not dial.probe:
            # Its waiter was served by a connection that came back first.
            return self.keep_idle(self.new_http1(transport))
        if self.has_spare(WANTS_HTTP1):
            return transport.close()
        return self.keep_spare(transport)

    cdef int give_waiter(self, Dial dial, Transport transport) except -1:
        cdef Http1Client http1
        cdef Http2Client http2
        if dial.wants == WANTS_HTTP1:
            http1 = self.new_http1(transport)
            self.hand_out(http1.open_stream(dial.waiter), False, dial.waiter)
            return self.dial_for_others(WANTS_HTTP1)
        if dial.wants == WANTS_HTTP2:
            http2 = self.new_http2(transport)
            if http2.room() > 0:
                self.hand_out(http2.open_stream(dial.waiter), False, dial.waiter)
            else:
                self.wait(self.waiting_http2, dial.waiter)
            return self.serve_waiting_http2(http2)
        transport.pause(PAUSE_PARKED)
        return dial.waiter.on_transport(transport)

    cdef int on_dial_failed(self, Dial dial, FaultKind kind, int code) except -1:
        if not self.removed:
            # Without a descriptor nothing was learned of it: what is said of it stays.
            if is_ours(kind) and self.health != HEALTH_FAILING:
                self.become_ready()
            else:
                self.become_failing()
        if dial.waiter is not None:
            dial.waiter.on_backend_failed(kind, code)
            return self.dial_for_others(dial.wants)
        if dial.wants == WANTS_HTTP2:
            return self.fail_all(self.waiting_http2, kind, code)
        return self.fail_all(self.waiting_http1, kind, code)

    cdef int fail_all(self, WaiterQueue waiters, FaultKind kind, int code) except -1:
        """Those who wait now: a waiter that is told so may come again."""
        self.failed.take_all(waiters)
        self.failed_kind = kind
        self.failed_code = code
        return self.fail_next()

    cdef int fail_next(self) except -1:
        cdef Waiter waiter
        while self.failed.count:
            waiter = self.failed.pop()
            try:
                waiter.on_backend_failed(self.failed_kind, self.failed_code)
            except Exception as error:
                self.loop.blame(error, waiter)
            if self.loop.is_spent():
                return self.loop.defer(self)
        return 0

    cdef int on_deferred(self) except -1:
        """Goes on with what one turn had no time for."""
        cdef Http2Client client
        self.fail_next()
        for client in list(self.multiplexed):
            if self.waiting_http2.count and client.room() > 0:
                self.serve_waiting_http2(client)
        return self.dial_http2()

    cdef int become_ready(self) except -1:
        if self.health == HEALTH_READY:
            return 0
        self.health = HEALTH_READY
        self.loop.disarm(self.backoff)
        return 0 if self.alone else self.roster.on_ready(self)

    cdef int become_failing(self) except -1:
        self.failures += 1
        self.http1_only = False
        if self.alone:
            return 0
        self.loop.arm(self.backoff, self, backoff_ns(self.settings, self.failures))
        if self.health == HEALTH_FAILING:
            return 0
        self.health = HEALTH_FAILING
        return self.roster.on_failing(self)

    cdef int on_broken(self) except -1:
        """What it was about to do did not happen: it counts as a failed connect, after which it is probed,
        and nobody waits for what will not come."""
        if self.removed:
            return 0
        self.failed.take_all(self.waiting_http1)
        self.failed.take_all(self.waiting_http2)
        self.failed_kind = FAULT_LOCAL
        self.failed_code = 0
        self.loop.defer(self)
        if self.idle.count or self.spare is not None:
            self.watch_idle()
        return self.become_failing()

    cdef int on_timer(self, Timer timer) except -1:
        cdef bint answered
        if self.removed:
            return 0
        if timer.kind == TIMER_SWEEP:
            return self.retire_idle()
        if timer.kind == TIMER_PATIENCE:
            return self.run_out()
        if timer.kind == TIMER_PENALTY:
            answered = self.answered_ns >= self.breaker.probed_ns
            return self.obey(self.breaker.on_time(answered, self.loop.now), 0)
        return self.probe()

    # ---- its breaker

    cdef int guard(self, Accrual accrual) except -1:
        if self.penalty is not None:
            self.loop.disarm(self.penalty)
        self.breaker = None if accrual is None else new_breaker(accrual, self.loop.now)
        self.penalty = None if accrual is None else Timer(self, TIMER_PENALTY)
        return 0

    cdef int begin_probe(self) except -1:
        """It has as long as the endpoint was left alone to say something; then another one may try."""
        self.breaker.probe(self.loop.now)
        return self.loop.arm(self.penalty, self, self.breaker.backoff_ns)

    cdef int hear(self, Verdict verdict, int64_t sent, int64_t hold_ns, int64_t now) except -1:
        if self.removed or self.breaker is None:
            return 0
        return self.obey(self.breaker.hear(verdict, sent, now), hold_ns)

    cdef int obey(self, Step step, int64_t hold_ns) except -1:
        cdef int64_t wait_ns = 0
        if step == STEP_NONE:
            return 0
        if step == STEP_REOPEN or (step == STEP_TRIP and self.roster.can_spare(self)):
            wait_ns = self.breaker.open(hold_ns, unit_random(), self.loop.now)
            self.loop.arm(self.penalty, self, wait_ns)
        elif step == STEP_TRIP:
            if self.breaker.kept:
                return 0
            self.breaker.kept = True
        else:
            self.loop.disarm(self.penalty)
        if step == STEP_CLOSE:
            # What it was blamed for is over, too.
            self.bias.failing = 0
        return self.roster.on_breaker(self, step, wait_ns)

    # ---- connections

    cdef Http1Client new_http1(self, Transport transport):
        cdef Http1Client client = Http1Client(self.connections, self.settings.limits)
        transport.attach(client)
        return client

    cdef Http2Client new_http2(self, Transport transport):
        cdef Http2Client client = Http2Client(self.connections, self.http2_limits)
        # Plain gRPC servers take pings on an idle connection for abuse; a peer proxy expects them.
        client.keepalive = self.h2
        client.pings_idle = self.pings_idle
        client.in_pod = self.in_pod
        client.connected_at = transport.opened_at
        if 0 <= self.streams_allowed < client.first_flight:
            client.first_flight = self.streams_allowed
        self.multiplexed.append(client)
        transport.attach(client)
        return client

    cdef int serve_waiting_http1(self, Http1Client client) except -1:
        cdef Waiter waiter = self.waiting_http1.pop()
        return self.hand_out(client.open_stream(waiter), client.exchanges > 1, waiter)

    cdef int serve_waiting_http2(self, Http2Client client) except -1:
        cdef Waiter waiter
        if client.settings_seen:
            self.streams_allowed = client.allowed()
        if client.served:
            self.failures = 0
        while self.waiting_http2.count and client.room() > 0:
            waiter = self.waiting_http2.pop()
            self.hand_out(client.open_stream(waiter), client.served, waiter)
            if self.loop.is_spent():
                return self.loop.defer(self)
        return self.dial_http2()

    cdef int on_http2_over(self, Http2Client client, FaultKind kind, int code) except -1:
        """A connection takes no more streams. Made in vain, it counts as a connect that failed: its waiters
        choose again instead of making one after another."""
        cdef bint known = client in self.multiplexed
        if known:
            self.multiplexed.remove(client)
        if self.removed:
            return 0
        if client.foreign:
            self.http1_only = True
            return self.fail_all(self.waiting_http2, FAULT_PROTOCOL, HTTP_1_1_REQUIRED)
        if known and (client.was_in_vain() or not client.settings_seen):
            self.become_failing()
            return self.fail_all(self.waiting_http2, kind, code)
        return self.dial_http2()

    cdef int keep_idle(self, Http1Client client) except -1:
        if self.removed or self.idle.count >= self.settings.http1_max_idle:
            return client.retire()
        if self.loop.is_crowded(KEEPING_ENDS):
            return client.retire()
        client.idle_since = self.loop.now
        self.idle.push(client)
        return self.watch_idle()

    cdef int keep_spare(self, Transport transport) except -1:
        self.spare = Spare.__new__(Spare)
        self.spare.told = self.was_told(transport)
        self.spare.since = self.loop.now
        transport.attach(self.spare)
        return self.watch_idle()

    cdef bint has_spare(self, Wants wants):
        if self.spare is None or self.spare.transport is None:
            return False
        return wants == WANTS_HTTP1 or not self.spare.told

    cdef Transport adopt_spare(self):
        cdef Transport transport = self.spare.transport
        self.spare = None
        return transport

    cdef int watch_idle(self) except -1:
        if not self.sweep.armed:
            self.loop.arm(self.sweep, self, self.settings.http1_idle_ns)
        return 0

    cdef int retire_idle(self) except -1:
        """Closes what nobody used for the idle time."""
        cdef int64_t limit = self.loop.now - self.settings.http1_idle_ns
        while self.idle.count and self.idle.oldest.idle_since <= limit:
            self.idle.pop_oldest().retire()
        if self.spare is not None and self.spare.since <= limit:
            self.close_spare()
        return self.watch_idle() if self.idle.count or self.spare is not None else 0

    cdef int close_spare(self) except -1:
        cdef Transport transport = None if self.spare is None else self.adopt_spare()
        return 0 if transport is None else transport.close()

    cdef int close(self) except -1:
        cdef Http2Client multiplexed
        if self.removed:
            return 0
        self.removed = True
        self.loop.disarm(self.backoff)
        self.loop.disarm(self.sweep)
        self.loop.disarm(self.patience)
        if self.penalty is not None:
            self.loop.disarm(self.penalty)
        while self.idle.count:
            self.idle.pop_oldest().retire()
        for multiplexed in list(self.multiplexed):
            multiplexed.retire()
        self.multiplexed = []
        self.close_spare()
        self.roster = None
        self.fail_all(self.waiting_http1, FAULT_LOCAL, 0)
        self.fail_all(self.waiting_http2, FAULT_LOCAL, 0)
        self.connections = None
        return 0


cdef class Connections(ConnectionOwner):
    """What client codecs report to. Lives as long as a connection does, longer than its endpoint is in the
    set."""

    cdef int on_connection_room(self, object connection) except -1:
        cdef Endpoint endpoint = self.endpoint
        if isinstance(connection, Http2Client):
            return 0 if endpoint.removed else endpoint.serve_waiting_http2(<Http2Client> connection)
        if endpoint.waiting_http1.count and not endpoint.removed:
            return endpoint.serve_waiting_http1(<Http1Client> connection)
        return endpoint.keep_idle(<Http1Client> connection)

    cdef int on_connection_retired(self, object connection) except -1:
        return self.on_connection_closed(connection, FAULT_EOF, 0)

    cdef int on_connection_closed(self, object connection, FaultKind kind, int code) except -1:
        cdef Endpoint endpoint = self.endpoint
        if isinstance(connection, Http2Client):
            return endpoint.on_http2_over(<Http2Client> connection, kind, code)
        return endpoint.idle.remove(<Http1Client> connection)
