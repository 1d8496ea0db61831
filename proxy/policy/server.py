"""What holds for one port of the workload, as values: how its traffic is read, who may call, and how often.

Routes of HTTP add authorizations of their own to the server's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from linkerd2_py.proxy.addresses import Network, pack_ip, parse_network, split_zone
from linkerd2_py.proxy.matches import Match, Paths, Step
from linkerd2_py.proxy.policy.external import External
from linkerd2_py.proxy.policy.kinds_of_tokens import TokenKind
from linkerd2_py.proxy.policy.order import EVERYTHING_FIRST, RouteOrder

Labels = tuple[tuple[str, str], ...]

AUDIT: Final = "audit"


class Reference(NamedTuple):
    """What a decision was made from, as metrics name it."""

    group: str
    kind: str
    name: str

    @property
    def is_audit(self) -> bool:
        """Whether it lets in only so that somebody can look at what it lets in."""
        return self == default(AUDIT)

    def labels(self, what: str) -> Labels:
        return (
            (f"{what}_group", self.group),
            (f"{what}_kind", self.kind),
            (f"{what}_name", self.name),
        )

    def __str__(self) -> str:
        return self.name if self.kind == "default" else f"{self.kind} {self.name}"


def default(name: str) -> Reference:
    """One that nobody has configured."""
    return Reference("", "default", name)


class Protocol(enum.Enum):
    """What is spoken at a port."""

    DETECT = "detect"
    OPAQUE = "opaque"
    TLS = "tls"
    HTTP1 = "http1"
    HTTP2 = "http2"
    GRPC = "grpc"


class ClientNetwork(NamedTuple):
    """A network without parts of it."""

    network: Network
    excepts: tuple[Network, ...] = ()

    def contains(self, packed: bytes) -> bool:
        return self.network.contains(packed) and not any(
            network.contains(packed) for network in self.excepts
        )


class Identities(NamedTuple):
    """Whole names, and endings of names; the empty ending is that of all."""

    names: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ()

    def contains(self, name: str) -> bool:
        return name in self.names or any(name.endswith(ending) for ending in self.endings)


ANYBODY: Final = Identities(endings=("",))
"""Who has proven to be somebody."""

EVERYWHERE: Final = (
    ClientNetwork(parse_network("0.0.0.0/0")),
    ClientNetwork(parse_network("::/0")),
)


class Authorization(NamedTuple):
    """Clients that are let in: from one of these networks, over TLS between proxies where that is asked for,
    and as one of `identities` where those are; each of their requests with such a token where one is, and if
    `external` agrees, where that is.
    """

    reference: Reference
    networks: tuple[ClientNetwork, ...] = EVERYWHERE
    tls: bool = False
    identities: Identities | None = None
    token: TokenKind | None = None
    external: External | None = None

    def has(self, host: str) -> bool:
        """Whether a client at this address is in one of the networks; one without an address is in none."""
        if self.networks == EVERYWHERE:
            return True
        packed = pack_ip(split_zone(host)[0])
        return packed is not None and any(network.contains(packed) for network in self.networks)


class Route(NamedTuple):
    """A route of HTTP or gRPC with the authorizations that it adds. `left_out`: what it would do to its
    requests and does not.
    """

    reference: Reference
    authorizations: tuple[Authorization, ...] = ()
    left_out: tuple[str, ...] = ()


DEFAULT_ROUTE: Final = Route(default("default"))
PROBE: Final = default("probe")
"""What the route of the kubelet's probes is called."""


class Override(NamedTuple):
    """A rate that these clients share."""

    per_second: int
    identities: frozenset[str]


class RateLimit(NamedTuple):
    """Requests a second that are let in: in all, of each identity, and of some together in place of that. 0:
    any number.
    """

    reference: Reference
    total: int = 0
    identity: int = 0
    overrides: tuple[Override, ...] = ()


class SeatOverride(NamedTuple):
    """Requests in flight that these clients may have together."""

    requests: int
    identities: frozenset[str]


class ConcurrencyLimit(NamedTuple):
    """Requests that may be in flight at once: in all, of each identity, and of some together in place of
    that. 0: any number.
    """

    total: int = 0
    identity: int = 0
    overrides: tuple[SeatOverride, ...] = ()


class ServerPolicy(NamedTuple):
    """What holds for a port. `invalid`: what the controller said of it could not be used, so that nothing is
    let in."""

    reference: Reference
    protocol: Protocol = Protocol.DETECT
    detect_timeout_s: float = 0.0
    """0: as long as everywhere."""
    authorizations: tuple[Authorization, ...] = ()
    routes: tuple[Route, ...] = (DEFAULT_ROUTE,)
    order: RouteOrder = EVERYTHING_FIRST
    """Which of `routes` a request is of."""
    rate_limit: RateLimit | None = None
    concurrency_limit: ConcurrencyLimit | None = None
    invalid: bool = False

    @property
    def is_opaque(self) -> bool:
        return self.protocol is Protocol.OPAQUE

    @property
    def only_http(self) -> bool:
        return self.protocol in {Protocol.HTTP1, Protocol.HTTP2, Protocol.GRPC}

    def opened(self, paths: Iterable[str]) -> ServerPolicy:
        """The same, and everybody may GET these paths: they are asked as probes are."""
        match = Match(paths=Paths.WHOLE, method="GET")
        first = [Step(match._replace(path=path), 0) for path in paths]
        probe = Route(PROBE, authorizations=(Authorization(PROBE),))
        return self._replace(routes=(probe, *self.routes), order=self.order.behind(first, shift=1))

    def stricter(self, *, tls: bool, identity: bool) -> ServerPolicy:
        """The same for a port that asks its clients for more. Routes stay: what they add is meant for those
        who have less.
        """
        found = [
            one._replace(
                tls=one.tls or tls,
                identities=ANYBODY if identity and one.identities is None else one.identities,
            )
            for one in self.authorizations
        ]
        return self._replace(authorizations=tuple(found))


INVALID: Final = ServerPolicy(default("invalid"), invalid=True)


def default_policy(name: str, *, cluster_networks: tuple[Network, ...]) -> ServerPolicy:
    """One of Linkerd's default policies."""
    reference = default(name)
    if name == "deny":
        return ServerPolicy(reference)
    cluster = tuple(map(ClientNetwork, cluster_networks))
    authorization = Authorization(
        reference,
        networks=cluster if name.startswith("cluster-") else EVERYWHERE,
        identities=ANYBODY if name.endswith("-authenticated") else None,
    )
    return ServerPolicy(reference, authorizations=(authorization,))


def reference_of(labels: Mapping[str, str]) -> Reference:
    """From the labels that older answers name things with. ValueError when there is no name."""
    name = labels.get("name", "")
    if not name:
        raise ValueError("labels without a name")
    if "kind" not in labels and name.startswith("default:"):
        return default(name.removeprefix("default:"))
    return Reference(labels.get("group", ""), labels.get("kind", ""), name)
