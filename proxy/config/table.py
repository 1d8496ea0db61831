"""Every `LINKERD2_PROXY_*` setting a sidecar knows.

Names, units and defaults are Linkerd's (2.20). A new setting is declared here, once; `load` puts its
value where it is used, and `tools/document_settings.py` writes it into the README.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from linkerd2_py.proxy.config import parse
from linkerd2_py.proxy.config.setting import (
    Setting,
    ignored,
    listed,
    missed,
    optional,
    refused,
    setting,
)
from linkerd2_py.proxy.config.types import AccessLog

_WINDOW_MAX: Final = 2**31 - 1  # RFC 9113 section 6.9.1
_MANY: Final = 1_000_000
_WINDOW: Final = parse.whole(low=1, high=_WINDOW_MAX)
_CONNECTION_WINDOW: Final = parse.whole(low=65_535, high=_WINDOW_MAX)
_COUNT: Final = parse.whole(low=1, high=_MANY)
_IDLE_COUNT: Final = parse.whole(low=0, high=_MANY)


def _text(name: str, meaning: str, shown: str = "") -> Setting[str]:
    return Setting(name, parse.anything, shown, meaning, shown=shown)


def _identity(name: str, meaning: str) -> Setting[str]:
    return Setting(name, parse.identity, "", meaning)


# The workload's traffic comes in, and so do its peers' and its operators'.

OUTBOUND_STATIC_PORTS: Final = listed(
    "OUTBOUND_STATIC_PORTS",
    parse.static_outbound,
    "ours: `ip:port=name:port,…`, local ports that each lead to one logical target",
)
INBOUND_STATIC_PORTS: Final = listed(
    "INBOUND_STATIC_PORTS",
    parse.static_inbound,
    "ours: `ip:port=ip:port[/opaque],…`, local ports that each lead to one port of the workload;"
    " `/http`: what is no HTTP gets 400"
    " there instead of being carried as opaque",
)

# Who this proxy is.

_CONTROL_NAME: Final = (
    "the identity that must answer there, over TLS; needed unless the address is on loopback or `localhost.`,"
    " where it is called in plain text"
)
IDENTITY_DISABLED: Final = Setting(
    "IDENTITY_DISABLED",
    parse.non_empty,
    default=False,
    meaning="ours: set (to anything), there is no identity; other `IDENTITY_…` are ignored and traffic"
    " between proxies is plain text",
)
IDENTITY_SVC_ADDR: Final = optional(
    "IDENTITY_SVC_ADDR", parse.authority, "`host:port` of the identity service"
)
IDENTITY_SVC_NAME: Final = _identity(
    "IDENTITY_SVC_NAME",
    _CONTROL_NAME,
)
IDENTITY_TRUST_ANCHORS: Final = Setting(
    "IDENTITY_TRUST_ANCHORS",
    parse.trust_anchors,
    b"",
    "the certificates that are trusted, as PEM text",
)
IDENTITY_DIR: Final = _text(
    "IDENTITY_DIR", "the directory where `proxy-identity` leaves `key.p8` and `csr.der`"
)
IDENTITY_TOKEN_FILE: Final = _text("IDENTITY_TOKEN_FILE", "the file with the workload's token")
IDENTITY_LOCAL_NAME: Final = _identity("IDENTITY_LOCAL_NAME", "the workload's identity")
_TWICE = "the same in two variables, which must be equal"
IDENTITY_SERVER_ID: Final = _identity("IDENTITY_SERVER_ID", _TWICE)
IDENTITY_SERVER_NAME: Final = _identity("IDENTITY_SERVER_NAME", _TWICE)
_REFRESH = "bounds put on the time to the next certificate"
IDENTITY_MIN_REFRESH: Final = setting(
    "IDENTITY_MIN_REFRESH", parse.positive_duration, "10s", _REFRESH
)
IDENTITY_MAX_REFRESH: Final = setting(
    "IDENTITY_MAX_REFRESH", parse.positive_duration, "24h", _REFRESH
)
_NO_SPIRE: Final = "identity from SPIRE is not available: certificates come from IDENTITY_SVC_ADDR"
IDENTITY_SPIRE_WORKLOAD_API_ADDRESS: Final = refused(
    "IDENTITY_SPIRE_WORKLOAD_API_ADDRESS", _NO_SPIRE
)
IDENTITY_SPIRE_SOCKET: Final = refused("IDENTITY_SPIRE_SOCKET", _NO_SPIRE)

# The process.

IO_URING: Final = setting(
    "IO_URING",
    parse.switch,
    "true",
    "ours: batches of socket calls go through io_uring where the kernel allows it",
)
BUSY_WAIT: Final = setting(
    "BUSY_WAIT",
    parse.switch,
    "true",
    "ours: under light load, wait up to 50 µs without sleeping where the last waits were short",
)

# Where it listens.

OUTBOUND_LISTEN_ADDR: Final = setting(
    "OUTBOUND_LISTEN_ADDR", parse.socket_addr, "127.0.0.1:4140", "where the workload's calls arrive"
)
OUTBOUND_LISTEN_ADDRS: Final = optional(
    "OUTBOUND_LISTEN_ADDRS", parse.listen_addrs, "one or two addresses instead (IPv4 and IPv6)"
)
INBOUND_LISTEN_ADDR: Final = setting(
    "INBOUND_LISTEN_ADDR", parse.socket_addr, "0.0.0.0:4143", "where peers' calls arrive"
)
ADMIN_LISTEN_ADDR: Final = setting(
    "ADMIN_LISTEN_ADDR",
    parse.socket_addr,
    "127.0.0.1:4191",
    "`/metrics`, `/ready`, `/live`, `/proxy-log-level`, `/listeners`",
)
ADMIN_HOSTS: Final = listed(
    "ADMIN_HOSTS",
    parse.host_names,
    "ours: names that the admin address answers to beside IP addresses, `localhost`, the host's own"
    " name and names of a cluster"
    " (`….svc`, `….cluster.local`); a page in a browser can then not lead its own name here",
)
ADMIN_TOKEN_FILE: Final = _text(
    "ADMIN_TOKEN_FILE",
    "ours: set, what changes the proxy (`PUT /proxy-log-level`, `POST /shutdown`) also needs"
    " `authorization: Bearer` and the content"
    " of this file; without it every client on loopback may",
)
ADMIN_SHOWS_METRICS: Final = setting(
    "ADMIN_SHOWS_METRICS",
    parse.switch,
    "false",
    "ours: `/metrics` is open to everybody, as `/live` and `/ready` are, whomever inbound policy lets in to"
    " the admin port",
)
CONTROL_LISTEN_ADDR: Final = setting(
    "CONTROL_LISTEN_ADDR",
    parse.socket_addr,
    "0.0.0.0:4190",
    "where this proxy is asked what passes it (`Tap.Observe`), over mutual TLS; nobody listens there without"
    " `TAP_SVC_NAME`",
)


# Each direction.


class SideSettings(NamedTuple):
    """What exists once for inbound and once for outbound."""

    backlog: Setting[int]
    detect_timeout: Setting[float]
    connect_timeout: Setting[float]
    backoff_min: Setting[float]
    backoff_max: Setting[float]
    backoff_jitter: Setting[float]
    accept_keepalive: Setting[float]
    connect_keepalive: Setting[float]
    accept_user_timeout: Setting[float]
    connect_user_timeout: Setting[float]
    queue_capacity: Setting[int]
    failfast: Setting[float]
    max_in_flight: Setting[int]
    half_close_grace: Setting[float]
    slow_reader: Setting[float]
    http1_idle: Setting[float]
    http1_max_idle: Setting[int]
    discovery_idle: Setting[float]
    opaque_ports: Setting[frozenset[int]]
    stream_window: Setting[int | None]
    connection_window: Setting[int | None]
    ping_interval: Setting[float | None]
    ping_timeout: Setting[float | None]
    max_concurrent_streams: Setting[int | None]
    max_frame_size: Setting[int | None]
    header_list_bytes: Setting[int | None]
    pending_accept_resets: Setting[int | None]
    max_send_buf_size: Setting[object]
    adaptive_flow_control: Setting[object]


class _Defaults(NamedTuple):
    """What the directions differ in."""

    connect: str
    backoff_max: str
    failfast: str
    discovery_idle: str
    max_idle_name: str


def _side(name: str, differ: _Defaults) -> SideSettings:
    backoff, http2 = f"{name}_CONNECT_EXP_BACKOFF", f"{name}_SERVER_HTTP2"
    return SideSettings(
        backlog=setting(
            f"{name}_TCP_LISTEN_BACKLOG",
            parse.whole(low=1, high=65535),
            "4096",
            "connections the kernel queues; it cuts the number to `net.core.somaxconn`",
        ),
        detect_timeout=setting(
            f"{name}_DETECT_TIMEOUT",
            parse.positive_duration,
            "10s",
            "silence after which a connection is carried as opaque; one that has begun what may be a"
            " request goes on as HTTP",
        ),
        connect_timeout=setting(
            f"{name}_CONNECT_TIMEOUT", parse.positive_duration, differ.connect, "for one connect"
        ),
        backoff_min=setting(
            f"{backoff}_MIN", parse.positive_duration, "100ms", "first pause after a failed connect"
        ),
        backoff_max=setting(
            f"{backoff}_MAX", parse.positive_duration, differ.backoff_max, "longest pause"
        ),
        backoff_jitter=setting(
            f"{backoff}_JITTER", parse.ratio, "0.1", "random share added to a pause, 0 to 1"
        ),
        accept_keepalive=setting(
            f"{name}_ACCEPT_KEEPALIVE",
            parse.duration,
            "0",
            "TCP keep-alive of accepted connections; 0: the system's setting",
        ),
        connect_keepalive=setting(
            f"{name}_CONNECT_KEEPALIVE",
            parse.duration,
            "0",
            "TCP keep-alive of connections made",
        ),
        accept_user_timeout=setting(
            f"{name}_ACCEPT_USER_TIMEOUT",
            parse.duration,
            "0",
            "TCP user timeout of accepted connections",
        ),
        connect_user_timeout=setting(
            f"{name}_CONNECT_USER_TIMEOUT",
            parse.duration,
            "0",
            "TCP user timeout of connections made",
        ),
        queue_capacity=setting(
            f"{name}_HTTP_QUEUE_CAPACITY",
            _COUNT,
            "10000",
            "exchanges that may wait for an endpoint",
        ),
        failfast=setting(
            f"{name}_HTTP_FAILFAST_TIMEOUT",
            parse.positive_duration,
            differ.failfast,
            "how long they wait before they are refused",
        ),
        max_in_flight=setting(
            f"{name}_MAX_IN_FLIGHT", _COUNT, "100000", "exchanges at once; more are refused"
        ),
        half_close_grace=setting(
            f"{name}_HALF_CLOSE_GRACE",
            parse.up_to_an_hour,
            "5s",
            "how long an HTTP/1 client that ended its side is waited with before anything is sent to it",
        ),
        slow_reader=setting(
            f"{name}_SLOW_READER_TIMEOUT",
            parse.an_hour_at_most,
            "1h",
            "how long a client may take nothing of a response that waits for it; 0: for ever",
        ),
        http1_idle=setting(
            f"{name}_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT",
            parse.positive_duration,
            "3s",
            "when an idle HTTP/1 connection is closed",
        ),
        http1_max_idle=setting(
            differ.max_idle_name, _IDLE_COUNT, "10000", "idle HTTP/1 connections kept"
        ),
        discovery_idle=setting(
            f"{name}_DISCOVERY_IDLE_TIMEOUT",
            parse.positive_duration,
            differ.discovery_idle,
            "when an unused target is forgotten",
        ),
        opaque_ports=listed(
            f"{name}_PORTS_DISABLE_PROTOCOL_DETECTION",
            parse.ports,
            "ports carried as opaque at once: `25,3306,6000-6010`",
        ),
        stream_window=optional(
            f"{http2}_INITIAL_STREAM_WINDOW_SIZE",
            _WINDOW,
            "bytes, for streams that this side's server receives, in place of"
            " `HTTP2_INITIAL_STREAM_WINDOW_SIZE`",
        ),
        connection_window=optional(
            f"{http2}_INITIAL_CONNECTION_WINDOW_SIZE",
            _CONNECTION_WINDOW,
            "bytes, for a connection of this side's server, in place of"
            " `HTTP2_INITIAL_CONNECTION_WINDOW_SIZE`",
        ),
        ping_interval=optional(
            f"{http2}_KEEP_ALIVE_INTERVAL", parse.up_to_an_hour, "how often a client is pinged"
        ),
        ping_timeout=optional(
            f"{http2}_KEEP_ALIVE_TIMEOUT", parse.up_to_an_hour, "how long its answer may take"
        ),
        max_concurrent_streams=optional(
            f"{http2}_MAX_CONCURRENT_STREAMS",
            parse.whole(low=1, high=2**31 - 1),
            "streams a client may have open",
        ),
        max_frame_size=optional(
            f"{http2}_MAX_FRAME_SIZE", parse.whole(low=16_384, high=2**24 - 1), "bytes of a frame"
        ),
        header_list_bytes=optional(
            f"{http2}_MAX_HEADER_LIST_SIZE",
            parse.whole(low=1024, high=2**20),
            "bytes of a head, up to 1 MiB; 64 KiB when unset",
        ),
        pending_accept_resets=optional(
            f"{http2}_MAX_PENDING_ACCEPT_RESET_STREAMS",
            _COUNT,
            "requests that one read may both bring and take back, as in Linkerd; more, and the client"
            " is sent away with GOAWAY",
        ),
        max_send_buf_size=ignored(f"{http2}_MAX_SEND_BUF_SIZE", parse.whole(low=1, high=2**31 - 1)),
        adaptive_flow_control=ignored(f"{http2}_ADAPTIVE_FLOW_CONTROL", parse.switch),
    )


INBOUND: Final = _side(
    "INBOUND",
    _Defaults(
        connect="300ms",
        backoff_max="10s",
        failfast="1s",
        discovery_idle="90s",
        max_idle_name="MAX_IDLE_CONNS_PER_ENDPOINT",
    ),
)
OUTBOUND: Final = _side(
    "OUTBOUND",
    _Defaults(
        connect="1s",
        backoff_max="60s",
        failfast="3s",
        discovery_idle="5s",
        max_idle_name="OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT",
    ),
)

# Both directions.

HTTP2_INITIAL_STREAM_WINDOW_SIZE: Final = setting(
    "HTTP2_INITIAL_STREAM_WINDOW_SIZE", _WINDOW, "65535", "bytes, for streams we receive"
)
HTTP2_INITIAL_CONNECTION_WINDOW_SIZE: Final = setting(
    "HTTP2_INITIAL_CONNECTION_WINDOW_SIZE",
    _CONNECTION_WINDOW,
    "1048576",
    "bytes, for a connection",
)

# How endpoints are chosen.

OUTBOUND_PENALIZE_FAILURES: Final = setting(
    "OUTBOUND_PENALIZE_FAILURES",
    parse.switch,
    "true",
    "failed exchanges make an endpoint less attractive for a while",
)
OUTBOUND_LOAD_BIASER_MAX_RETRY_AFTER: Final = setting(
    "OUTBOUND_LOAD_BIASER_MAX_RETRY_AFTER",
    parse.duration,
    "300s",
    "the longest `Retry-After` of an endpoint that is honoured",
)
OUTBOUND_TCP_QUEUE_CAPACITY: Final = ignored("OUTBOUND_TCP_QUEUE_CAPACITY", _COUNT)
OUTBOUND_TCP_FAILFAST_TIMEOUT: Final = ignored(
    "OUTBOUND_TCP_FAILFAST_TIMEOUT", parse.positive_duration
)

# What targets are.

DESTINATION_SVC_ADDR: Final = optional(
    "DESTINATION_SVC_ADDR",
    parse.authority,
    "`host:port` of the destination API; without it every name is looked for in DNS",
)
DESTINATION_SVC_NAME: Final = _identity("DESTINATION_SVC_NAME", _CONTROL_NAME)
DESTINATION_CONTEXT: Final = _text("DESTINATION_CONTEXT", "token sent with each question")
_SUFFIXES = "names that the destination API is asked for; others go by DNS"
DESTINATION_GET_SUFFIXES: Final = listed(
    "DESTINATION_GET_SUFFIXES", parse.suffixes, _SUFFIXES, "svc.cluster.local"
)
DESTINATION_PROFILE_SUFFIXES: Final = listed(
    "DESTINATION_PROFILE_SUFFIXES", parse.suffixes, _SUFFIXES, "svc.cluster.local"
)
DESTINATION_PROFILE_NETWORKS: Final = listed(
    "DESTINATION_PROFILE_NETWORKS", parse.networks, "networks whose addresses it is asked for"
)
DESTINATION_PROFILE_INITIAL_TIMEOUT: Final = setting(
    "DESTINATION_PROFILE_INITIAL_TIMEOUT",
    parse.positive_duration,
    "500ms",
    "how long a connection waits for the first answer",
)
_STREAM = "limits of one stream to the control plane"
CONTROL_STREAM_INITIAL_TIMEOUT: Final = optional(
    "CONTROL_STREAM_INITIAL_TIMEOUT", parse.positive_duration, _STREAM
)
CONTROL_STREAM_IDLE_TIMEOUT: Final = optional(
    "CONTROL_STREAM_IDLE_TIMEOUT", parse.positive_duration, _STREAM
)
CONTROL_STREAM_LIFETIME: Final = optional(
    "CONTROL_STREAM_LIFETIME", parse.positive_duration, _STREAM
)
_TTL = "bounds put on the TTL of answers"
DNS_MIN_TTL: Final = optional("DNS_MIN_TTL", parse.duration, _TTL)
DNS_MAX_TTL: Final = optional("DNS_MAX_TTL", parse.positive_duration, _TTL)
RESOLV_CONF: Final = _text(
    "RESOLV_CONF",
    "where name servers are listed; read again when it has changed",
    "/etc/resolv.conf",
)
POD_NAMESPACE: Final = _text(
    "POD_NAMESPACE",
    "the workload's namespace, which completes `web` and `web.ns`; by default that of"
    " `DESTINATION_CONTEXT`",
)

# Who is let in.

INBOUND_IPS: Final = listed(
    "INBOUND_IPS",
    parse.addresses,
    "the workload's own addresses, where inbound traffic may go; none: every address of the machine but"
    " loopback",
)
INBOUND_DEFAULT_POLICY: Final = setting(
    "INBOUND_DEFAULT_POLICY",
    parse.default_policy,
    "all-unauthenticated",
    "who is let in: `all-unauthenticated`, `all-authenticated`, `cluster-authenticated`,"
    " `cluster-unauthenticated`, `audit` (all, and the log names them), `deny`; localhost always",
)
INBOUND_JUDGES_LOCALHOST: Final = setting(
    "INBOUND_JUDGES_LOCALHOST",
    parse.switch,
    "false",
    "ours: clients from localhost are let in as all others are, and not always: where pods are addresses"
    " on loopback",
)
POLICY_CLUSTER_NETWORKS: Final = listed(
    "POLICY_CLUSTER_NETWORKS",
    parse.networks,
    "where the clients of the `cluster-` policies are",
    "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8",
)
INBOUND_PORTS_REQUIRE_IDENTITY: Final = listed(
    "INBOUND_PORTS_REQUIRE_IDENTITY",
    parse.ports,
    "the workload's ports whose clients must have an identity",
)
INBOUND_PORTS_REQUIRE_TLS: Final = listed(
    "INBOUND_PORTS_REQUIRE_TLS",
    parse.ports,
    "the workload's ports whose clients must come over TLS that ends here",
)
INBOUND_PORTS: Final = listed(
    "INBOUND_PORTS",
    parse.ports,
    "the workload's ports that the policy API is asked about from the start; others are when something"
    " comes there",
)
INBOUND_GATEWAY_SUFFIXES: Final = missed(
    "INBOUND_GATEWAY_SUFFIXES",
    parse.suffixes,
    "it is no gateway: connections that name a target are refused",
)
POLICY_SVC_ADDR: Final = optional(
    "POLICY_SVC_ADDR",
    parse.authority,
    "`host:port` of the policy API; without it `INBOUND_DEFAULT_POLICY` decides who is let in, and outbound"
    " traffic is treated as the destination API says",
)
POLICY_SVC_NAME: Final = _identity("POLICY_SVC_NAME", _CONTROL_NAME)
POLICY_WORKLOAD: Final = _text(
    "POLICY_WORKLOAD",
    'in whose name the policy API is asked, as it wants it: `{"ns":…,"pod":…}`; its namespace completes'
    " names where `DESTINATION_CONTEXT` has none",
)

# What it tells.

METRICS_RETAIN_IDLE: Final = setting(
    "METRICS_RETAIN_IDLE",
    parse.positive_duration,
    "10m",
    "when a series that nothing changes is dropped",
)
INBOUND_METRICS_AUTHORITY_LABELS: Final = Setting(
    "INBOUND_METRICS_AUTHORITY_LABELS",
    parse.one_of("unsafe"),
    "",
    "`unsafe`: label inbound requests with the authority that clients send",
)
OUTBOUND_TELL_NAMES: Final = setting(
    "OUTBOUND_TELL_NAMES",
    parse.switch,
    "false",
    "ours: peer proxies are told in `l5d-dst-canonical` what a target is called, and count by it; a workload"
    " behind Linkerd's own proxy sees it",
)
LOG: Final = setting("LOG", parse.log_filter, "warn,linkerd=info", "levels by module")
LOG_FORMAT: Final = setting("LOG_FORMAT", parse.log_format, "plain", "or `json`")
ACCESS_LOG: Final[Setting[AccessLog]] = Setting(
    "ACCESS_LOG",
    parse.access_log,
    "",
    "`apache` or `json`: a line on stderr for each request that comes in, in that format",
)
TAP_SVC_NAME: Final = _identity(
    "TAP_SVC_NAME",
    "the identity that may tap this proxy; without it, and without an identity of its own, nobody can",
)
OUTBOUND_METRICS_HOSTNAME_LABELS: Final = ignored("OUTBOUND_METRICS_HOSTNAME_LABELS", parse.switch)
TRACE_COLLECTOR_SVC_ADDR: Final = optional(
    "TRACE_COLLECTOR_SVC_ADDR",
    parse.authority,
    "`host:port` of a collector that speaks OTLP over gRPC; without it no spans are sent",
)
TRACE_COLLECTOR_SVC_NAME: Final = _identity("TRACE_COLLECTOR_SVC_NAME", _CONTROL_NAME)
TRACE_PROTOCOL: Final = setting(
    "TRACE_PROTOCOL", parse.one_of("opentelemetry"), "opentelemetry", "and no other"
)
TRACE_SERVICE_NAME: Final = _text(
    "TRACE_SERVICE_NAME", "the `service.name` of spans, where no label or attribute gives another"
)
TRACE_ATTRIBUTES_PATH: Final = _text(
    "TRACE_ATTRIBUTES_PATH",
    "a file with more attributes of whoever makes the spans, a line `key=value` for each: the pod's labels",
)
TRACE_EXTRA_ATTRIBUTES: Final = _text(
    "TRACE_EXTRA_ATTRIBUTES",
    "the same as text; those of `OTEL_RESOURCE_ATTRIBUTES`, which has no prefix, win over both",
)
TRACE_ANNOTATIONS_PATH: Final = ignored("TRACE_ANNOTATIONS_PATH")
OUTBOUND_DISABLE_INFORMATIONAL_HEADERS: Final = setting(
    "OUTBOUND_DISABLE_INFORMATIONAL_HEADERS",
    parse.switch,
    "false",
    "no `l5d-proxy-error` and its like towards the workload",
)

# How it ends, and how much of the machine it takes.

SHUTDOWN_GRACE_PERIOD: Final = setting(
    "SHUTDOWN_GRACE_PERIOD",
    parse.duration,
    "120s",
    "how long a proxy that got SIGTERM, SIGINT or SIGQUIT waits for what is in flight; SIGHUP, SIGUSR1"
    " and SIGUSR2 are ignored",
)
SHUTDOWN_ENDPOINT_ENABLED: Final = setting(
    "SHUTDOWN_ENDPOINT_ENABLED", parse.switch, "false", "`POST /shutdown` on the admin address"
)
INGRESS_MODE: Final = missed(
    "INGRESS_MODE",
    parse.switch,
    "requests go where the workload sent them, whatever `l5d-dst-override` says",
)
CORES: Final = ignored("CORES")
CORES_MIN: Final = ignored("CORES_MIN")
CORES_MAX: Final = ignored("CORES_MAX")
CORES_MAX_RATIO: Final = ignored("CORES_MAX_RATIO")


def _declared(found: Mapping[str, object]) -> Iterator[Setting[Any]]:
    """Everything above, in the order in which it stands there."""
    for value in found.values():
        if isinstance(value, Setting):
            yield value
        elif isinstance(value, SideSettings):
            yield from value


SETTINGS: Final[Mapping[str, Setting[Any]]] = {one.name: one for one in _declared(dict(globals()))}
"""By name, without the prefix."""

RENAMED: Final[Mapping[str, Setting[Any]]] = {
    "OUTBOUND_LISTENER": OUTBOUND_LISTEN_ADDR,
    "PRIVATE_LISTENER": OUTBOUND_LISTEN_ADDR,
    "INBOUND_LISTENER": INBOUND_LISTEN_ADDR,
    "PUBLIC_LISTENER": INBOUND_LISTEN_ADDR,
    "CONTROL_LISTENER": CONTROL_LISTEN_ADDR,
    "METRICS_LISTENER": ADMIN_LISTEN_ADDR,
    "CONTROL_URL": DESTINATION_SVC_ADDR,
    "INBOUND_FORWARD": INBOUND_STATIC_PORTS,
    "PRIVATE_FORWARD": INBOUND_STATIC_PORTS,
    "PRIVATE_CONNECT_TIMEOUT": INBOUND.connect_timeout,
    "PUBLIC_CONNECT_TIMEOUT": OUTBOUND.connect_timeout,
    "INBOUND_ROUTER_MAX_IDLE_AGE": INBOUND.discovery_idle,
    "OUTBOUND_ROUTER_MAX_IDLE_AGE": OUTBOUND.discovery_idle,
}
"""Names of 2018 and the setting that took their place."""
