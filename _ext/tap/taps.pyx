# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""From an exchange to the watchers of it. Who matches is decided before anything is made; what is told is
written as the turn goes, and sent when it ends."""

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_SIGHTING, LIVE_TAP, born, gone
from linkerd2_py._ext.core.pace cimport take_one
from linkerd2_py._ext.exchange.error_response cimport grpc_status_of
from linkerd2_py._ext.exchange.exchange cimport Exchange
from linkerd2_py._ext.exchange.observe cimport (
    END_ANSWERED, END_BROKEN, END_CANCELLED, END_FAILED, END_TUNNELLED, End,
)
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.metrics.http cimport NO_GRPC_STATUS
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.route.endpoint_spec cimport EndpointSpec
from linkerd2_py._ext.route.router cimport ConnectionRouter
from linkerd2_py._ext.route.target cimport Target
from linkerd2_py._ext.route.whence cimport transport_of
from linkerd2_py._ext.tap.events cimport (
    EVENT_ENDED, EVENT_ENDED_IN_GRPC, EVENT_RESET, Ending, put_end, put_ends, put_fields, put_request,
    put_response,
)

cdef enum:
    PREFIX = 5                 # of a message of gRPC
    # Bytes that may wait for a watcher when it is told of another exchange, and of those it was told of: what
    # has begun is to have its end.
    ROOM_TO_BEGIN = 98304
    ROOM_TO_END = 131072
    TRAILERS_MOST = 16384
    LOST_FIELD = 1000          # of a TapEvent
    OK = 0
    NS = 1000000000


cdef EndpointSpec spec_of(Exchange exchange):
    """What discovery says of the endpoint that serves it; None while there is none, or no longer."""
    if exchange.backend is None or exchange.logical is None:
        return None
    return (<Target> exchange.logical).specs.get(exchange.backend.address)


cdef class Taps(Seeker):

    def __init__(self, Loop loop not None, Registry registry not None, *, Py_ssize_t most=100):
        self.loop = loop
        self.most = most
        self.taps = []
        self.facts = Facts()
        self.requests = registry.counter(
            "tap_requests_total", "Requests that somebody who taps this proxy was told of."
        )
        self.events = registry.counter(
            "tap_events_total", "Events that were told to those who tap this proxy."
        )
        self.lost = registry.counter(
            "tap_events_lost_total",
            "Events that were not told because somebody who taps this proxy does not keep up."
        )

    @property
    def open(self):
        return len(self.taps)

    def observe(
        self, Call call not None, Matcher matcher not None, *, uint32_t limit, double max_rps,
        bint fields=False,
    ):
        cdef Tap tap
        if len(self.taps) >= self.most:
            return False
        if limit == 0 or not 0 < max_rps:
            raise ValueError("a tap wants at least one exchange, now and then")
        tap = Tap.__new__(Tap)
        tap.taps = self
        tap.call = call
        tap.matcher = matcher
        tap.base = self.bases
        tap.left = limit
        tap.fields = fields
        tap.pace.interval_ns = max(1, <int64_t> (NS / max_rps))
        # What it may have had in a second that it slept through.
        tap.pace.burst_ns = max(<int64_t> 0, NS - tap.pace.interval_ns)
        tap.pace.due_ns = now_ns()
        self.bases += 1
        self.taps.append(tap)
        self.wanting += 1
        call.on_gone = tap.close
        call.begin()
        return True

    def close(self):
        for tap in list(self.taps):
            (<Tap> tap).close()

    # ---- from exchanges

    cdef tuple seek(self, Peer exchange, Head head):
        cdef int64_t now = self.loop.now
        cdef Tap tap
        for each in self.taps:
            tap = <Tap> each
            if not tap.is_sated(now):
                return self.look_at(<Exchange> exchange, head)
        return None

    cdef tuple look_at(self, Exchange exchange, Head head):
        cdef int64_t now = self.loop.now
        cdef list found = None
        cdef Sighting sighting
        cdef Tap tap
        self.learn(exchange, head)
        for each in self.taps:
            tap = <Tap> each
            if tap.is_sated(now) or not tap.matcher.holds(self.facts):
                continue
            sighting = tap.take(now)
            if sighting is None:
                continue
            if found is None:
                found = []
            found.append(sighting)
        self.forget()
        return None if found is None else tuple(found)

    cdef int learn(self, Exchange exchange, Head head) except -1:
        """What can be known now; what an event said before is kept where it no longer can."""
        cdef Facts facts = self.facts
        cdef Transport transport = transport_of(exchange.server)
        cdef EndpointSpec spec = spec_of(exchange)
        facts.head = head
        facts.source = None if transport is None else transport.peer_address()
        facts.destination = None if exchange.backend is None else exchange.backend.address
        facts.own_labels = None if spec is None else spec.labels
        facts.set_labels = None if exchange.logical is None else (<Target> exchange.logical).labels
        facts.route_labels = None if exchange.plan is None else exchange.plan.labels
        return 0

    cdef int forget(self) noexcept:
        self.facts.head = None
        self.facts.source = self.facts.destination = None
        self.facts.own_labels = self.facts.set_labels = self.facts.route_labels = None
        return 0


cdef class Tap(Actor):

    def __cinit__(self):
        self.wire = Wire.__new__(Wire)
        self.wire.most = ROOM_TO_END
        if L5D_DEBUG:
            born(LIVE_TAP)

    def __dealloc__(self):
        if L5D_DEBUG:
            gone(LIVE_TAP)

    def close(self):
        """The caller has gone, or the proxy ends. What exchanges under way would have told is told nobody.
        Idempotent."""
        cdef Taps taps = self.taps
        if taps is None:
            return
        self.taps = None
        taps.taps.remove(self)
        if self.left:
            taps.wanting -= 1
            self.left = 0
        self.wire.free_all()
        call, self.call = self.call, None
        (<Call> call).finish()

    cdef bint has_room(self, size_t least) noexcept:
        return self.call.half is not None and self.call.half.queue.size + self.wire.size < least

    cdef Sighting take(self, int64_t now):
        """One more that it is told of, or None; either way its number is used up."""
        cdef Sighting sighting
        take_one(&self.pace, now)
        self.stream += 1
        if not self.has_room(ROOM_TO_BEGIN):
            self.lose(3)
            return None
        self.left -= 1
        if self.left == 0:
            self.taps.wanting -= 1
        self.taps.requests.count += 1
        self.open += 1
        sighting = Sighting.__new__(Sighting)
        sighting.tap = self
        sighting.id.base = self.base
        sighting.id.stream = self.stream
        sighting.answered = -1
        return sighting

    cdef int lose(self, uint64_t events) noexcept:
        self.missing += events
        self.taps.lost.count += events
        return 0

    cdef size_t begin_event(self) noexcept:
        cdef size_t at = self.wire.size
        self.wire.raw("\0\0\0\0", PREFIX)
        return at

    cdef int end_event(self, size_t at) except -1:
        cdef Wire wire = self.wire
        cdef size_t length
        if self.missing:
            wire.number(LOST_FIELD, self.missing)
        if wire.full or not self.has_room(ROOM_TO_END):
            wire.take_back(at)
            return self.lose(1)
        self.missing = 0
        length = wire.size - at - PREFIX
        wire.start[at + 1] = <char> (length >> 24)
        wire.start[at + 2] = <char> (length >> 16)
        wire.start[at + 3] = <char> (length >> 8)
        wire.start[at + 4] = <char> length
        self.taps.events.count += 1
        return self.taps.loop.defer(self)

    cdef int on_deferred(self) except -1:
        cdef Call call = self.call
        if self.taps is None:
            return 0
        if self.wire.size and call.half is not None:
            call.put(self.wire.start, self.wire.size)
        self.wire.clear()
        return self.settle()

    cdef int settle(self) except -1:
        if self.left == 0 and self.open == 0 and self.taps is not None and self.wire.size == 0:
            self.close()
        return 0

    cdef int on_broken(self) except -1:
        self.close()
        return 0


cdef class Sighting(Observer):

    def __cinit__(self):
        if L5D_DEBUG:
            born(LIVE_SIGHTING)

    def __dealloc__(self):
        if L5D_DEBUG:
            gone(LIVE_SIGHTING)

    cdef size_t begin(self, Exchange exchange, Head head) except? 0:
        """An event with what all of them say."""
        cdef Taps taps = self.tap.taps
        cdef Facts facts = taps.facts
        cdef ConnectionRouter router = <ConnectionRouter> exchange.router
        cdef EndpointSpec spec
        cdef size_t at
        taps.learn(exchange, head)
        try:
            if facts.source is None:
                facts.source = self.source
            self.source = facts.source
            spec = spec_of(exchange)
            if spec is None:
                spec = self.spec
            self.spec = spec
            if spec is not None:
                facts.own_labels = spec.labels
                if facts.destination is None:
                    facts.destination = spec.address
            at = self.tap.begin_event()
            put_ends(
                self.tap.wire, facts, router.client.labels,
                None if spec is None else spec.tls, router.outbound,
            )
        finally:
            taps.forget()
        return at

    cdef int on_request(self, Peer exchange, Head head) except -1:
        cdef size_t at
        if self.tap.taps is None:
            return 0
        at = self.begin(<Exchange> exchange, head)
        put_request(self.tap.wire, self.id, head, self.tap.fields)
        return self.tap.end_event(at)

    cdef int on_response(self, Peer exchange, Head head) except -1:
        if self.tap.taps is None:
            return 0
        return self.tell_response(<Exchange> exchange, head.status, head)

    cdef int tell_response(self, Exchange exchange, int status, Head head) except -1:
        cdef int64_t now = self.tap.taps.loop.now
        cdef size_t at = self.begin(exchange, head)
        self.answered = now
        put_response(self.tap.wire, self.id, now - exchange.started, status, head, self.tap.fields)
        return self.tap.end_event(at)

    cdef int on_trailers(self, Peer exchange, Head trailers) except -1:
        if self.tap.taps is None or not self.tap.fields:
            return 0
        self.trailers = Wire.__new__(Wire)
        self.trailers.most = TRAILERS_MOST
        put_fields(self.trailers, trailers)
        if self.trailers.full:
            self.trailers = None
        return 0

    cdef int on_end(self, Peer peer, End why) except -1:
        cdef Exchange exchange = <Exchange> peer
        cdef Tap tap = self.tap
        cdef Ending ending
        cdef int status
        cdef size_t at
        tap.open -= 1
        if tap.taps is None:
            return 0
        if self.answered < 0 and (why == END_FAILED or why == END_TUNNELLED):
            # In the proxy's own name; a client of gRPC is told 200 all the same.
            status = 200 if exchange.translation.is_grpc else exchange.status
            self.tell_response(exchange, status, None)
        ending = ending_of(exchange, why)
        ending.since_request_ns = tap.taps.loop.now - exchange.started
        ending.since_response_ns = -1 if self.answered < 0 else tap.taps.loop.now - self.answered
        at = self.begin(exchange, None)
        put_end(tap.wire, self.id, ending, self.trailers)
        tap.end_event(at)
        return tap.settle()

    cdef int on_broken(self) except -1:
        """What it was about to say is not said."""
        if self.tap.taps is not None:
            self.tap.wire.clear()
            self.tap.taps.lost.count += 1
        return 0


cdef Ending ending_of(Exchange exchange, End why) noexcept:
    cdef Ending ending
    ending.response_bytes = exchange.response_bytes
    ending.kind = EVENT_ENDED
    ending.code = 0
    if why == END_CANCELLED or why == END_BROKEN and exchange.grpc_status == NO_GRPC_STATUS:
        ending.kind = EVENT_RESET
        ending.code = exchange.reset_code
    elif why == END_FAILED and exchange.translation.is_grpc:
        ending.kind = EVENT_ENDED_IN_GRPC
        ending.code = grpc_status_of(exchange.status)
    elif exchange.grpc_status != NO_GRPC_STATUS:
        ending.kind = EVENT_ENDED_IN_GRPC
        ending.code = exchange.grpc_status
    return ending
