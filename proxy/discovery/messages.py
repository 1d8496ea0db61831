"""What the destination API says: its messages as plain values, and the set of endpoints that a stream of
updates describes.

The content is checked: an address that cannot be one is skipped and counted by the caller, labels are
bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, NamedTuple, TypeVar, cast

from linkerd2_py._ext.tls.identity import ServerIdentity
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proxy.addresses import (
    SocketAddr,
    is_host_name,
    is_multicast,
    is_unspecified,
    unmapped,
    unpack_ip,
)
from linkerd2_py.proxy.discovery.http2 import Http2Params, http2_params

Labels = tuple[tuple[str, str], ...]
_T = TypeVar("_T", bound=Hashable)

WHOLE: Final = 10_000
"""The weight of what has none."""
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_PORT_MAX: Final = 65_535  # the API's ports are of 32 bits
_LABELS_MAX: Final = 32
_VALUE_MAX: Final = 256
_RATIO_MAX: Final = 1000
_TTL_MAX_S: Final = 60


class Endpoint(NamedTuple):
    """One address with what a client must know of it. `h2`: a meshed peer; `labels` without `dst_`;
    `peer`: who must answer there, None: somebody who cannot prove it. `opaque`: the port is one at which
    nobody looks, so that HTTP goes there as it is spoken. `http2`: how connections to it are kept.
    `weight`: of the load, in ten thousandths of what others get. `near`: it is preferred to those that are
    not.
    """

    address: SocketAddr
    h2: bool = False
    labels: Labels = ()
    peer: ServerIdentity | None = None
    opaque: bool = False
    http2: Http2Params | None = None
    weight: int = WHOLE
    near: bool = False


class RetryBudget(NamedTuple):
    """A share of the requests of the last `ttl_s`, and so many each second."""

    ratio: float
    least: int
    ttl_s: float


class Profile(NamedTuple):
    """How a target is treated. `name`: fully qualified, without port, empty when it has none."""

    opaque: bool
    name: str
    endpoint: Endpoint | None
    routes: tuple[destination.Route, ...] = ()
    parent: meta.Metadata | None = None
    """The object that it is the profile of, where that is said."""
    budget: RetryBudget | None = None
    """Of its retries; without one there are none."""


NO_PROFILE: Final = Profile(opaque=False, name="", endpoint=None)
"""Of a target of which nothing is said."""


class Replaced(NamedTuple):
    """The set is exactly this."""

    endpoints: tuple[Endpoint, ...]


class Added(NamedTuple):
    """These joined or changed."""

    endpoints: tuple[Endpoint, ...]


class Removed(NamedTuple):
    """These left; others stayed."""

    addresses: tuple[SocketAddr, ...]


class Emptied(NamedTuple):
    """None are left; `exists` is false when the name itself is unknown."""

    exists: bool


Change = Replaced | Added | Removed | Emptied


class EndpointSet:
    """The state of one `Get`, over all its reconnects, by the API's rules of order. `on_skipped` counts
    unusable addresses.

    After a (re)connect the first non-empty Add replaces the set and a Remove that comes before it is
    ignored; removing the last address is the same as an answer that none exist. Known endpoints stay
    while there is no stream.
    """

    __slots__ = ("_awaits_snapshot", "_known", "_on_skipped", "answered")

    def __init__(self, *, on_skipped: Callable[[int], None]) -> None:
        self._known: dict[SocketAddr, Endpoint] = {}
        self._awaits_snapshot = True
        self._on_skipped = on_skipped
        self.answered = False

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The set as it is now known."""
        return tuple(self._known.values())

    def reconnected(self) -> None:
        """A new stream begins: what it adds first is the whole set."""
        self._awaits_snapshot = True

    def apply(self, update: destination.Update) -> Change | None:
        """What the update changes; None for one that says nothing."""
        kind = update.WhichOneof("update")
        if kind == "add":
            return self._add(update.add)
        if kind == "remove":
            return self._remove(update.remove)
        if kind == "no_endpoints":
            return self._empty(exists=update.no_endpoints.exists)
        return None

    def _add(self, message: destination.WeightedAddrSet) -> Change | None:
        usable, skipped = endpoints(message)
        self._count(skipped)
        if not usable:
            return None
        if not self._awaits_snapshot:
            self._known.update((one.address, one) for one in usable)
            return Added(usable)
        self._awaits_snapshot, self.answered = False, True
        self._known = {one.address: one for one in usable}
        return Replaced(self.endpoints)

    def _remove(self, message: destination.AddrSet) -> Change | None:
        usable, skipped = addresses(message)
        self._count(skipped)
        gone = tuple(address for address in usable if address in self._known)
        if self._awaits_snapshot or not gone:
            return None
        for address in gone:
            self._known.pop(address, None)
        return Removed(gone) if self._known else Emptied(exists=True)

    def _empty(self, *, exists: bool) -> Change:
        self._awaits_snapshot, self.answered = False, True
        self._known = {}
        return Emptied(exists=exists)

    def _count(self, skipped: int) -> None:
        if skipped:
            self._on_skipped(skipped)


def socket_addr(message: net.TcpAddress) -> SocketAddr | None:
    """The address, None when nothing can be connected to there."""
    packed = _packed(message.ip)
    if packed is None or not 0 < message.port <= _PORT_MAX:
        return None
    host = unpack_ip(packed)
    return None if is_unspecified(host) or is_multicast(host) else SocketAddr(host, message.port)


class Once:
    """Equal values as one object: endpoints of a set have nearly all labels and their identity in common,
    and a proxy may know of a hundred thousand.
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[Hashable, Hashable] = {}

    def __call__(self, value: _T) -> _T:
        """The first that was equal to it."""
        return cast("_T", self._seen.setdefault(value, value))


def endpoint(
    message: destination.WeightedAddr, *, shared: Mapping[str, str], once: Once
) -> Endpoint | None:
    """One endpoint; its own labels win over those of the set. None when its address or its identity is
    unusable.
    """
    address = socket_addr(message.addr)
    if address is None:
        return None
    try:
        peer = once(_peer(message))
    except ValueError:
        # It has an identity, and not one that could be asked for: plain text would be worse than nothing.
        return None
    return Endpoint(
        address=address,
        h2=message.protocol_hint.HasField("h2"),
        labels=tuple(
            once((once(name), value))
            for name, value in labels_of({**shared, **message.metric_labels})
        ),
        peer=peer,
        opaque=message.protocol_hint.HasField("opaque"),
        http2=http2_params(message),
        weight=message.weight or WHOLE,
        near=message.near,
    )


def endpoints(message: destination.WeightedAddrSet) -> tuple[tuple[Endpoint, ...], int]:
    """The usable endpoints, and how many were skipped."""
    once = Once()
    found = [endpoint(addr, shared=message.metric_labels, once=once) for addr in message.addrs]
    usable = tuple(one for one in found if one is not None)
    return usable, len(found) - len(usable)


def addresses(message: destination.AddrSet) -> tuple[tuple[SocketAddr, ...], int]:
    """The usable addresses, and how many were skipped."""
    found = [socket_addr(addr) for addr in message.addrs]
    usable = tuple(one for one in found if one is not None)
    return usable, len(found) - len(usable)


def profile(message: destination.DestinationProfile) -> Profile:
    """What we use of a profile; an endpoint or a name that cannot be one counts as none."""
    known = (
        endpoint(message.endpoint, shared={}, once=Once()) if message.HasField("endpoint") else None
    )
    name = message.fully_qualified_name
    return Profile(
        opaque=message.opaque_protocol,
        name=name if is_host_name(name) else "",
        endpoint=known,
        routes=tuple(message.routes),
        parent=message.parent_ref if message.parent_ref.WhichOneof("kind") else None,
        budget=_budget(message.retry_budget) if message.HasField("retry_budget") else None,
    )


def _budget(message: destination.RetryBudget) -> RetryBudget | None:
    """None for one that Linkerd's proxy drops."""
    ttl_s = message.ttl.seconds + message.ttl.nanos / 1e9
    least = message.min_retries_per_second
    if not (
        0 <= message.retry_ratio <= _RATIO_MAX and least < 1 << 31 and 1 <= ttl_s <= _TTL_MAX_S
    ):
        return None
    return RetryBudget(message.retry_ratio, least, ttl_s)


def _peer(message: destination.WeightedAddr) -> ServerIdentity | None:
    """Who must answer. ValueError for an identity that cannot be asked for."""
    tls = message.tls_identity
    kind = tls.WhichOneof("strategy")
    if kind is None:
        return None
    by_uri = kind == "uri_like_identity"
    name = tls.uri_like_identity.uri if by_uri else tls.dns_like_identity.name
    # What a URI is asked for as must be said; a DNS name is its own.
    server_name = tls.server_name.name or ("" if by_uri else name)
    if not server_name:
        raise ValueError("an identity without a server name")
    port = message.protocol_hint.opaque_transport.inbound_port
    if port > _PORT_MAX:
        raise ValueError("a tunnel to what is no port")
    return ServerIdentity(name, server_name=server_name, tunnel_port=port)


def _packed(ip: net.IPAddress) -> bytes | None:
    kind = ip.WhichOneof("ip")
    if kind == "ipv4":
        return ip.ipv4.to_bytes(4)
    if kind == "ipv6":
        return unmapped(ip.ipv6.first.to_bytes(8) + ip.ipv6.last.to_bytes(8))
    return None


def labels_of(labels: Mapping[str, str]) -> Labels:
    """Sorted by name, as Linkerd writes them; names that no label may have are left out."""
    return tuple(_bounded(sorted(labels.items())))


def _bounded(labels: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    named = [(name, value[:_VALUE_MAX]) for name, value in labels if _LABEL.fullmatch(name)]
    return named[:_LABELS_MAX]
