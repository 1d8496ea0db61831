# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Routing: a fixed target, or the request's authority in canonical form (lower case, no trailing dot,
explicit port)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

from linkerd2_py._ext.exchange.backend cimport (
    UNAVAILABLE_DENIED, UNAVAILABLE_FULL, UNAVAILABLE_MISTRUSTED, UNAVAILABLE_REJECTED, UNAVAILABLE_SHED,
    RequestExaminer, Unavailable,
)
from linkerd2_py._ext.exchange.exchange cimport take_exchange
from linkerd2_py._ext.exchange.head cimport (
    FIELD_LOWER,
    H_L5D_CLIENT_ID,
    H_L5D_DST_CANONICAL,
    H_L5D_DST_OVERRIDE,
    L5D_FIELDS,
    Field,
)
from linkerd2_py._ext.exchange.passage cimport Passage
from linkerd2_py._ext.exchange.plan cimport Plan
from linkerd2_py._ext.exchange.seats cimport SeatLimit, Seating
from linkerd2_py._ext.policy.rate cimport Limit, take_from_all
from linkerd2_py._ext.route.checkpoint cimport Checkpoint
from linkerd2_py._ext.policy.route_table cimport RouteTable
from linkerd2_py._ext.metrics.http cimport ResponseError
from linkerd2_py._ext.metrics.labels import make_labels


def canonical(bytes authority, int default_port):
    """`Host[:port]` as a target key, or None when it is no host and port: b"Web.NS." -> b"web.ns:80". An
    empty port is none."""
    name, colon, port = authority.rpartition(b":")
    if not colon or (authority.startswith(b"[") and authority.endswith(b"]")):
        name, port = authority, b""
    port = port or b"%d" % default_port
    if not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        return None
    name = name.lower().removesuffix(b".")
    return name + b":%d" % int(port) if name else None


cdef enum:
    HTTPS_LEN = 5
    TOO_MANY_REQUESTS = 429
    LEAST_REFUSAL = 400


cdef Span named(Head head, bint proven) noexcept:
    """What the request is addressed to: as the peer proxy says that has proven to be one (l5d-dst-canonical,
    linkerd2-proxy 2.1), else its authority."""
    cdef Field* field = head.find(H_L5D_DST_CANONICAL) if proven else NULL
    cdef Span name = head.authority
    if field != NULL:
        name.ptr = field.value
        name.len = field.value_len
    return name


cdef inline bint is_text(bytes text, Span span) noexcept:
    if <size_t> PyBytes_GET_SIZE(text) != span.len:
        return False
    return memcmp(PyBytes_AS_STRING(text), span.ptr, span.len) == 0


cdef class Tunnels:
    cdef Permission permit(self, Target target, Client client, Address peer):
        raise NotImplementedError("Tunnels.permit")

    cdef int take_over(self, Transport transport, Target target) except -1:
        raise NotImplementedError("Tunnels.take_over")

    cdef int tunnel(self, Transport client, Transport server, Target target, Seating seats) except -1:
        raise NotImplementedError("Tunnels.tunnel")


cdef class ConnectionRouter(Router):

    cdef Peer new_exchange(self, Stream half):
        return take_exchange(self)

    cdef bint is_forward_proxy(self) noexcept:
        return self.fixed is None

    cdef bint is_shareable(self) noexcept:
        if self.fixed is None or self.authority_labels:
            return False
        return self.permission is None or self.permission.opens

    cdef Logical logical_for(self, Waiter exchange, Head head):
        cdef Target target = self.fixed
        if target is None:
            if head.scheme.len == HTTPS_LEN:
                # We have no TLS to give it, and what was to be secret is not sent in plain text instead.
                exchange.on_unavailable(UNAVAILABLE_REJECTED, 400, b"https is spoken through CONNECT only")
                return None
            target = self.by_authority(head)
            if target is None:
                exchange.on_unavailable(UNAVAILABLE_REJECTED, 400, b"request has no usable authority")
                return None
        if self.permission is not None and not self.let_in(exchange, head):
            return None
        if self.table.in_flight >= self.table.settings.max_in_flight:
            exchange.leave()
            exchange.on_unavailable(UNAVAILABLE_SHED, 503, b"too many requests in flight")
            return None
        if target.closed:
            # Forgotten while this connection was idle: its key is asked about again.
            target = self.fixed = self.table.find(target.key)
        self.table.in_flight += 1
        target.live += 1
        return target

    cdef bint let_in(self, Waiter exchange, Head head) except -1:
        cdef Passage passage = self.permission.judge(head)
        if not passage.plain:
            if passage.examiner is not None:
                passage = (<RequestExaminer> passage.examiner).examine(exchange, head)
                if passage is None:
                    return True
            if self.answered(exchange, head, passage):
                return False
        if self.permission.limited and passage.limited and not self.is_within_limits(exchange):
            return False
        exchange.passage = passage
        if passage.gate is not None:
            (<Checkpoint> passage.gate).hold(exchange, head, self.key())
        return True

    cdef bytes key(self):
        cdef Target target = self.last if self.fixed is None else self.fixed
        return target.key

    cdef bint is_within_limits(self, Waiter exchange) except -1:
        """Who is refused by one of them takes nothing from another."""
        cdef Seating seating = self.permission.seating
        cdef SeatLimit full
        cdef Limit limit
        cdef Unavailable why
        if seating is not None:
            full = seating.full()
            if full is not None:
                why = UNAVAILABLE_DENIED if full.status == TOO_MANY_REQUESTS else UNAVAILABLE_FULL
                exchange.on_unavailable(why, full.status, full.refusal)
                return False
        limit = take_from_all(self.permission.limits, self.loop.now)
        if limit is not None:
            exchange.on_unavailable(UNAVAILABLE_DENIED, TOO_MANY_REQUESTS, limit.refusal)
            return False
        if seating is not None:
            exchange.seats = seating
            seating.occupy()
        return True

    cdef bint let_in_later(self, Waiter exchange, Head head) except -1:
        if self.fixed is None and self.by_authority(head) is None:
            exchange.on_unavailable(UNAVAILABLE_REJECTED, 400, b"request has no usable authority")
            return False
        return self.permission is None or self.let_in(exchange, head)

    cdef bint answered(self, Waiter exchange, Head head, Passage passage) except -1:
        if passage.refusal is not None:
            exchange.on_unavailable(
                UNAVAILABLE_MISTRUSTED if passage.mistrusts else UNAVAILABLE_DENIED,
                passage.status, passage.refusal,
            )
            return True
        if passage.instead is not None and exchange.refused(passage.instead):
            return True
        if passage.edits is not None:
            passage.edits.apply(head, 0)
        return False

    cdef Plan plan_for(self, Logical logical, Head head):
        if (<Target> logical).routes is not None:
            return (<Target> logical).routes.plan_for(head)
        return None if self.named is None else self.plan_by_name(head)

    cdef Plan plan_by_name(self, Head head):
        cdef RouteTable routes = self.named_routes(head)
        return None if routes is None else routes.plan_for(head)

    cdef RouteTable named_routes(self, Head head):
        cdef Span name = named(head, self.client.identity is not None)
        cdef bytes given
        if self.routed_name is not None and is_text(self.routed_name, name):
            if self.routed_version == self.named.version:
                return self.routed
        if name.len == 0 or name.len > AUTHORITY_ROOM:
            return None
        given = name.ptr[:name.len]
        key = canonical(given, self.default_port)
        # Whoever is asked about a name may fail: then the last one still stands with what it led to.
        self.routed = None if key is None else self.named.of(key)
        self.routed_name = given
        self.routed_version = self.named.version
        return self.routed

    cdef int count_error(self, ResponseError error) except -1:
        cdef Target target = self.last if self.fixed is None else self.fixed
        if self.table.addr is not None:
            # The proxy asks something itself: nobody's request fails.
            return 0
        return (self.table.unaddressed if target is None else target.counts()).http_failed(error)

    cdef int say(self, Logical logical, Backend backend, int status, const char* text, size_t n) except -1:
        cdef Target target = <Target> logical
        if self.complaints is None or status < LEAST_REFUSAL:
            # A redirect is what somebody asked for.
            return 0
        if target is None:
            # It was not admitted to it, but that is where it was to go.
            target = self.last if self.fixed is None else self.fixed
        return self.complaints.say(target, backend, status, text, n)

    cdef int ended(self, Logical logical) except -1:
        cdef Target target = <Target> logical
        self.table.in_flight -= 1
        target.live -= 1
        target.last_used = self.loop.now
        return 0

    cdef int enter(self, Logical way) except -1:
        (<Target> way).live += 1
        return 0

    cdef int leave_way(self, Logical way) except -1:
        return (<Target> way).left(self.loop.now)

    cdef Target by_authority(self, Head head):
        cdef size_t length = head.authority.len
        if self.last is not None and not self.last.closed and is_text(self.last_authority, head.authority):
            return self.last
        if length == 0 or length > AUTHORITY_ROOM:
            return None
        authority = head.authority.ptr[:length]
        key = canonical(authority, self.default_port)
        if key is None:
            return None
        self.last = self.table.find(key)
        self.last_authority = authority
        self.permission = self.tunnels.permit(self.last, self.client, self.peer)
        return self.last

    cdef int forget(self) except -1:
        self.last = None
        self.labelled_backend = None
        self.labelled_passage = None
        return 0

    cdef HttpMetrics metrics_for(self, Logical logical, Backend backend, Head head, Passage passage):
        cdef Span name
        if backend is None:
            return (<Target> logical).unplaced(self.client.labels)
        if backend.http is not None:
            return backend.http
        name.ptr = ""
        name.len = 0
        if self.authority_labels and head is not None:
            name = named(head, self.client.identity is not None)
            if name.len > AUTHORITY_ROOM:
                name.len = 0
        if backend is self.labelled_backend and passage is self.labelled_passage:
            if is_text(self.labelled_authority, name):
                return self.labelled
        return self.label(backend, passage, name)

    cdef HttpMetrics label(self, Backend backend, Passage passage, Span name):
        """The endpoint's series for this client, by what policy says of the request, and by authority where
        that is wanted; resolved once, then remembered."""
        authority = name.ptr[:name.len]
        labels = backend.http_labels + b"," + make_labels(self.client.labels)
        if passage is not None and passage.labels:
            labels += b"," + passage.labels
        if authority:
            name_label = make_labels([("authority", authority.decode("ascii", "replace").lower())])
            labels = name_label + b"," + labels
        self.labelled = self.table.registry.http(self.table.metrics_prefix, labels)
        self.labelled_backend = backend
        self.labelled_passage = passage
        self.labelled_authority = authority
        return self.labelled

    cdef int stamp(self, Logical logical, Backend backend, Head head) except -1:
        """Outbound may name the target for the peer proxy, which cannot see what a static port stood for;
        inbound keeps it from the workload. Where a request goes is not for its sender to say."""
        cdef bytes name
        if not self.outbound:
            return self.stamp_client(head)
        head.drop_set(1 << H_L5D_DST_CANONICAL | 1 << H_L5D_DST_OVERRIDE)
        if self.tells_names and backend.h2:
            name = (<Target> logical).logical
            return head.add("l5d-dst-canonical", 17, name, len(name), H_L5D_DST_CANONICAL, FIELD_LOWER)
        return 0

    cdef int stamp_client(self, Head head) except -1:
        """Who calls, as proven, in place of what the client says about that. Who has proven nothing tells the
        workload nothing in our name."""
        cdef bytes identity = self.client.raw_identity
        if identity is None:
            return head.drop_set(L5D_FIELDS)
        head.drop_set(1 << H_L5D_CLIENT_ID | 1 << H_L5D_DST_CANONICAL | 1 << H_L5D_DST_OVERRIDE)
        return head.add("l5d-client-id", 13, identity, len(identity), H_L5D_CLIENT_ID, FIELD_LOWER)

    cdef int take_over(self, Transport transport, Logical logical) except -1:
        return self.tunnels.take_over(transport, <Target> logical)

    cdef int tunnel(self, Transport client, Transport server, Seating seats) except -1:
        cdef Target target = self.last if self.fixed is None else self.fixed
        return self.tunnels.tunnel(client, server, target, seats)
