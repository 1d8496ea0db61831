"""Who may call whom, as objects of the mesh: what policy.linkerd.io says about ports of pods.

What cannot be understood authorizes nobody: it never stands for less than it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.objects import Key, Labels, MeshObject, no_labels
from linkerd2_py.controlplane.mesh.selector import Selector
from linkerd2_py.controlplane.mesh.status import Condition
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication

TargetKind = Literal["Server", "Namespace", "HTTPRoute", "GRPCRoute"]
AuthenticationKind = Literal[
    "MeshTLSAuthentication",
    "NetworkAuthentication",
    "ServiceAccount",
    "JWTAuthentication",
    "ExternalAuthorization",
]


class Target(NamedTuple):
    """What is called: its name is empty for the namespace that an object is in; only routes have a group, for
    two of them may share a name.
    """

    kind: TargetKind
    name: str = ""
    group: str = ""


class Authentication(NamedTuple):
    """What a client must pass."""

    kind: AuthenticationKind
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Identities:
    """Who a client must prove to be: one of `names`, as certificates have them (`*.` before what they end
    with, `*` for any), or of one of the `accounts`, or of any in one of the `namespaces`.
    """

    names: tuple[str, ...] = ()
    accounts: tuple[Key, ...] = ()
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clients:
    """Clients in any of `networks` (none: in the cluster's) that prove to be one of `identities`, or need not
    prove anything (None), except by mutual TLS, where `tls` asks for that. `tokens`: each of their requests
    has one, known by the name of its JWTAuthentication.
    """

    networks: tuple[Network, ...] = ()
    identities: Identities | None = None
    tls: bool = False
    tokens: JWTAuthentication | None = None


class ConcurrencyOverride(NamedTuple):
    """Requests in flight that clients of some accounts may have together, in the place of what holds for
    others.
    """

    requests: int
    accounts: tuple[Key, ...]


class ConcurrencyLimit(NamedTuple):
    """Requests that each proxy of a Server lets be in flight at once: in all, and of each client; None is any
    number.
    """

    total: int | None = None
    identity: int | None = None
    overrides: tuple[ConcurrencyOverride, ...] = ()


@dataclass(frozen=True, slots=True)
class Server(MeshObject):
    """A port of some pods, or of some external workloads, by number or by the name that they give it.

    `proxy_protocol` and `access_policy` are as Linkerd spells them (`HTTP/1`, `all-authenticated`).
    Exactly one selector is not None. `created` is in seconds since the epoch: of several Servers of a port
    the oldest is it.
    """

    namespace: str
    name: str
    port: int | str
    pods: Selector | None = None
    external_workloads: Selector | None = None
    proxy_protocol: str = "unknown"
    access_policy: str = "deny"
    labels: Labels = field(default_factory=no_labels)
    created: float = 0.0
    concurrency: ConcurrencyLimit | None = None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class ServerAuthorization(MeshObject):
    """Who may call Servers of its namespace: that of the name `server`, or those whose labels `selector`
    selects. `clients` is None where that cannot be understood.
    """

    namespace: str
    name: str
    server: str = ""
    selector: Selector | None = None
    clients: Clients | None = None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    def selects(self, server: Server) -> bool:
        """Whether it is about a Server of its namespace."""
        if self.selector is None:
            return self.server == server.name
        return self.selector.selects(server.labels)


@dataclass(frozen=True, slots=True)
class AuthorizationPolicy(MeshObject):
    """Who may call `target`: whoever passes all that is required. Either is None where it names what nobody
    knows.
    """

    namespace: str
    name: str
    target: Target | None
    requires: tuple[Authentication, ...] | None = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class MeshTLSAuthentication(MeshObject):
    """Whoever proves to be one of `identities` passes; nobody where that is None."""

    namespace: str
    name: str
    identities: Identities | None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class NetworkAuthentication(MeshObject):
    """Whoever is in one of `networks` passes; nobody where there is none."""

    namespace: str
    name: str
    networks: tuple[Network, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class ExternalAuthorization(MeshObject):
    """A request passes that the service at `port` agrees to, which speaks envoy.service.auth.v3; none where
    `service` is None, for that names what nobody knows. `timeout_s`, `fail_open` and `status_on_error`: how
    long its answer is waited for, whether requests pass without one, and what they are answered else.
    """

    namespace: str
    name: str
    service: Key | None
    port: int
    timeout_s: float = 0.2
    fail_open: bool = False
    status_on_error: int = 503
    extensions: Labels = field(default_factory=no_labels)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


class RateOverride(NamedTuple):
    """Requests a second for each client of some accounts, in the place of what holds for others."""

    requests_per_second: int
    accounts: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class HTTPLocalRateLimitPolicy(MeshObject):
    """Requests a second that each proxy of a Server lets in: in all, and of each client; None is any number.

    `created` is in seconds since the epoch: of several policies of a Server the oldest holds. `conditions`
    are what was said of it last. `server` is empty where it names what nobody knows.
    """

    namespace: str
    name: str
    server: str
    total: int | None = None
    identity: int | None = None
    overrides: tuple[RateOverride, ...] = ()
    created: float = 0.0
    conditions: tuple[Condition, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def server_key(self) -> Key:
        """Namespace and name of the Server that is limited."""
        return Key(self.namespace, self.server)
