"""Routes of Gateway API and of policy.linkerd.io, as objects of the mesh.

They are kept as they were written: what cannot be done (a filter or a match that nobody supports) is said by
the object, and whoever translates it decides what then holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, NamedTuple

from linkerd2_py.controlplane.mesh.objects import Labels, MeshObject, no_labels
from linkerd2_py.controlplane.mesh.status import Parent, ParentStatus

GATEWAY: Final = "gateway.networking.k8s.io"
POLICY: Final = "policy.linkerd.io"
EXTENSION: Final = "policy.linkerd2-py.io"
"""Of kinds that Linkerd has not."""
CORE: Final = "core"
"""The group of Services, as answers name it."""


class RouteKey(NamedTuple):
    """What a route is called: an HTTPRoute of Gateway API and one of Linkerd may share a name."""

    group: str
    kind: str
    namespace: str
    name: str


class Object(NamedTuple):
    """What routes are attached to and lead to, whatever its port."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class PathMatch:
    """`kind` is Exact, PathPrefix or RegularExpression."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class ValueMatch:
    """A header or a query parameter of a value, or of one that a regular expression matches."""

    name: str
    value: str
    regex: bool = False


@dataclass(frozen=True, slots=True)
class HTTPMatch:
    """All of it must hold; an empty `method` is any."""

    path: PathMatch | None = None
    headers: tuple[ValueMatch, ...] = ()
    query: tuple[ValueMatch, ...] = ()
    method: str = ""


@dataclass(frozen=True, slots=True)
class GRPCMatch:
    """All of it must hold. Without `has_method`, any method is meant; an empty `service` or `method` is any
    of that method's. Services and methods by a regular expression (`regex`) are nothing that a proxy knows.
    """

    has_method: bool = False
    service: str = ""
    method: str = ""
    regex: bool = False
    headers: tuple[ValueMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderModifier:
    """Headers that are added, set and removed, of requests or of responses."""

    of: Literal["request", "response"]
    adds: tuple[tuple[str, str], ...] = ()
    sets: tuple[tuple[str, str], ...] = ()
    removes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a request is sent instead; what is empty or 0 stays as it was asked for.

    `path_kind` is `ReplaceFullPath` or `ReplacePrefixMatch`, empty where the path stays.
    """

    scheme: str = ""
    hostname: str = ""
    path_kind: str = ""
    path: str = ""
    port: int = 0
    status: int = 0


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a request asks for on its way; kinds of paths as of a `Redirect`."""

    hostname: str = ""
    path_kind: str = ""
    path: str = ""
    type: ClassVar[str] = "URLRewrite"


@dataclass(frozen=True, slots=True)
class UnsupportedFilter:
    """One that no proxy of ours applies, by its type."""

    type: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A share of the requests fails on purpose, `of` how many `share` do: with a status of HTTP, or with a
    code of gRPC where calls are meant.
    """

    status: int
    message: str
    share: int = 1
    of: int = 1


Filter = HeaderModifier | Redirect | Rewrite | Failure | UnsupportedFilter


@dataclass(frozen=True, slots=True)
class Backend:
    """Where requests go, in proportion to its weight. `port` is 0 where none is said."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int = 0
    weight: int = 1
    filters: tuple[Filter, ...] = ()

    @property
    def object(self) -> Object:
        """Which object it is."""
        return Object(self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Rule:
    """Of connections: to its backends."""

    backends: tuple[Backend, ...] = ()


@dataclass(frozen=True, slots=True)
class HTTPRule(Rule):
    """What any of `matches` matches is filtered, and sent to the backends. `timeout_ms` is that of the whole
    request, 0 for none.
    """

    matches: tuple[HTTPMatch, ...] = ()
    filters: tuple[Filter, ...] = ()
    timeout_ms: int = 0


@dataclass(frozen=True, slots=True)
class GRPCRule(Rule):
    """As an `HTTPRule`; without matches it is about every call."""

    matches: tuple[GRPCMatch, ...] = ()
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(MeshObject):
    """What routes have in common. `created` is in seconds since the epoch: of two that say the same, the
    older one holds. `annotations` are those of retries and timeouts; `statuses` what we last said of it.
    """

    kind: ClassVar[str]
    group: str = GATEWAY
    namespace: str
    name: str
    parents: tuple[Parent, ...] = ()
    hostnames: tuple[str, ...] = ()
    created: float = 0.0
    annotations: Labels = field(default_factory=no_labels)
    statuses: tuple[ParentStatus, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def key(self) -> RouteKey:
        """Group, kind, namespace and name."""
        return RouteKey(self.group, self.kind, self.namespace, self.name)

    @property
    def attached_to(self) -> frozenset[Object]:
        """Its parents, whatever their ports."""
        return frozenset(Object(one.kind, one.namespace, one.name) for one in self.parents)

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Those of all its rules."""
        return tuple(backend for rule in self.rules for backend in rule.backends)

    @property
    def leads_to(self) -> frozenset[Object]:
        """The objects behind its backends."""
        return frozenset(backend.object for backend in self.backends)


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRoute(Route):
    """Of HTTP requests, by host, path, headers, query and method."""

    kind: ClassVar[str] = "HTTPRoute"
    rules: tuple[HTTPRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPCRoute(Route):
    """Of gRPC calls, by host, method and headers."""

    kind: ClassVar[str] = "GRPCRoute"
    rules: tuple[GRPCRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSRoute(Route):
    """Of TLS connections, by the server name that the client gives."""

    kind: ClassVar[str] = "TLSRoute"


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPRoute(Route):
    """Of connections."""

    kind: ClassVar[str] = "TCPRoute"


ROUTES: Final = (HTTPRoute, GRPCRoute, TLSRoute, TCPRoute)
