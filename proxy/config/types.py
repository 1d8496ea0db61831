"""What the environment says, as frozen values: one `Config`, one `Side` per direction. Durations are
seconds.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.proxy.addresses import Authority, Network, SocketAddr

AccessLog = Literal["", "apache", "json"]
"""The format of an access log; "": there is none."""


class StaticOutbound(NamedTuple):
    """A local port that stands for one logical target."""

    listen: SocketAddr
    target: Authority


class StaticInbound(NamedTuple):
    """A local port in front of one port of the workload."""

    listen: SocketAddr
    workload: SocketAddr
    opaque: bool
    http: bool = False
    """Nothing but HTTP is spoken there: what is none is refused."""


class SocketTuning(NamedTuple):
    """TCP keep-alive and user timeout; 0 leaves the system's setting."""

    keepalive_s: float
    user_timeout_s: float


class Http2Server(NamedTuple):
    """Bounds of the HTTP/2 server; None keeps the engine's own."""

    keepalive_interval_s: float | None
    keepalive_timeout_s: float | None
    max_concurrent_streams: int | None
    max_frame_size: int | None
    header_list_bytes: int | None
    pending_accept_resets: int | None
    stream_window: int
    connection_window: int


class Side(NamedTuple):
    """Everything that exists once for inbound and once for outbound."""

    listen: tuple[SocketAddr, ...]
    backlog: int
    detect_timeout_s: float
    connect_timeout_s: float
    connect_backoff: BackoffRange
    accept_socket: SocketTuning
    connect_socket: SocketTuning
    queue_capacity: int
    failfast_s: float
    max_in_flight: int
    half_close_grace_s: float
    slow_reader_s: float
    http1_idle_s: float
    http1_max_idle: int
    discovery_idle_s: float
    opaque_ports: frozenset[int]
    http2: Http2Server


class Balancing(NamedTuple):
    """What the outbound balancer makes of failures."""

    penalizes_failures: bool = True
    max_retry_after_s: float = 300.0


class StreamLimits(NamedTuple):
    """How long a control stream may wait for its first answer, be silent, and live; None: no bound."""

    initial_s: float | None
    idle_s: float | None
    lifetime_s: float | None


class Service(NamedTuple):
    """A service of the control plane. `name`: who must answer there; "": it is called in plain text."""

    address: Authority
    name: str


class PolicyService(NamedTuple):
    """The policy API, and in whose name it is asked."""

    service: Service
    workload: str


class Destination(NamedTuple):
    """The destination service and which targets it is asked about. No `service`: names go to DNS."""

    service: Service | None
    context_token: str
    namespace: str
    get_suffixes: tuple[str, ...]
    profile_suffixes: tuple[str, ...]
    profile_networks: tuple[Network, ...]
    profile_initial_timeout_s: float
    streams: StreamLimits


class Identity(NamedTuple):
    """Who this proxy is, and how it gets its certificate. `trust_anchors`: PEM. `directory` holds the key
    and the request that `proxy-identity` has made.
    """

    service: Service
    trust_anchors: bytes
    directory: str
    token_file: str
    local_name: str
    min_refresh_s: float
    max_refresh_s: float


class KeyRequest(NamedTuple):
    """Whose key is made, and where it goes."""

    directory: str
    local_name: str


class InboundPolicy(NamedTuple):
    """Who is let in where nothing else is said, and the ports where more is asked of them. Who comes from
    localhost is let in, unless that is judged like other addresses.
    """

    default: str
    cluster_networks: tuple[Network, ...]
    require_identity: frozenset[int]
    require_tls: frozenset[int]
    judges_localhost: bool = False


class Dns(NamedTuple):
    """Where the resolver is described and how long answers live; None: as the answer says."""

    resolv_conf: str
    min_ttl_s: float | None
    max_ttl_s: float | None


class Logs(NamedTuple):
    """Log filter and line format, and the format of the access log; "": there is none."""

    filter_text: str
    style: Literal["plain", "json"]
    access: AccessLog


class AdminSettings(NamedTuple):
    """Where the admin server listens, the names it answers to beside its own, and the file with the token
    that changes need; without a file they need none. `shows_metrics`: to everybody.
    """

    listen: SocketAddr
    hosts: frozenset[str]
    token_file: str
    shows_metrics: bool


class TapSettings(NamedTuple):
    """Where this proxy is asked what passes it, and the identity of whoever may ask."""

    listen: SocketAddr
    client: str


class Tracing(NamedTuple):
    """Who collects spans, and what they say of their proxy: texts of lines `key=value`, one of them in a
    file.
    """

    collector: Service
    service_name: str
    attributes_path: str
    extra_attributes: str
    otel_attributes: str


class Config(NamedTuple):
    """The whole configuration of a sidecar. No `identity`: everything is plain text. No `tap`: nobody can
    tap it. No `tracing`: nobody collects spans.
    """

    outbound: Side
    inbound: Side
    balancing: Balancing
    outbound_static: tuple[StaticOutbound, ...]
    inbound_static: tuple[StaticInbound, ...]
    inbound_ips: frozenset[bytes]
    inbound_policy: InboundPolicy
    inbound_ports: frozenset[int]
    policy: PolicyService | None
    identity: Identity | None
    admin: AdminSettings
    tap: TapSettings | None
    tracing: Tracing | None
    destination: Destination
    dns: Dns
    logs: Logs
    metrics_retain_idle_s: float
    shutdown_grace_s: float
    shutdown_endpoint: bool
    informational_headers: bool
    inbound_authority_labels: bool
    outbound_tells_names: bool
    io_uring: bool
    busy_wait: bool
    warnings: tuple[str, ...]
    """What the environment asks for and does not get, a line each."""
    not_used_yet: tuple[str, ...]
    """Variables whose absence nobody would notice."""
