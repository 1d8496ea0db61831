"""Every `LINKERD2_PROXY_*` variable a sidecar knows: parser, default, and what becomes of it.

Names, units and defaults are Linkerd's (2.20). Variables of later features are accepted as long as
leaving them out changes nothing for the traffic; where it would, they are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.config import parse

_WINDOW_MAX: Final = 2**31 - 1  # RFC 9113 section 6.9.1
_MANY: Final = 1_000_000
_BACKLOG: Final = 4096  # the kernel cuts it to net.core.somaxconn
_SUFFIX: Final = ("svc.cluster.local",)


class Variable(NamedTuple):
    """One variable. `keeps_empty`: an empty value has a meaning; otherwise it counts as unset."""

    parse: Callable[[str], Any]
    default: Any = None
    keeps_empty: bool = False
    used: bool = True


def _later(parser: Callable[[str], Any] = parse.anything) -> Variable:
    """Accepted and not used yet: leaving it out changes nothing for the traffic."""
    return Variable(parser, used=False)


def _refused(reason: str) -> Variable:
    """Leaving it out would change what traffic is allowed or where it goes."""

    def refuse(text: str) -> str:
        raise ValueError(f"{reason} (set to {text!r})")

    return Variable(refuse, used=False)


def _switch_refused(reason: str) -> Variable:
    """A switch that may only be off."""

    def refuse(text: str) -> bool:
        if parse.switch(text):
            raise ValueError(reason)
        return False

    return Variable(refuse, used=False)


def _list(parser: Callable[[str], Any], default: Any) -> Variable:
    return Variable(parser, default, keeps_empty=True)


def _side(name: str, *, connect_s: float, backoff_max_s: float, failfast_s: float) -> _Table:
    """The variables that exist for both directions."""
    backoff, http2 = f"{name}_CONNECT_EXP_BACKOFF", f"{name}_SERVER_HTTP2"
    return {
        f"{name}_TCP_LISTEN_BACKLOG": Variable(parse.whole(low=1, high=65535), _BACKLOG),
        f"{name}_DETECT_TIMEOUT": Variable(parse.positive_duration, 10.0),
        f"{name}_CONNECT_TIMEOUT": Variable(parse.positive_duration, connect_s),
        f"{backoff}_MIN": Variable(parse.positive_duration, 0.1),
        f"{backoff}_MAX": Variable(parse.positive_duration, backoff_max_s),
        f"{backoff}_JITTER": Variable(parse.ratio, 0.1),
        f"{name}_ACCEPT_KEEPALIVE": Variable(parse.duration, 0.0),
        f"{name}_ACCEPT_USER_TIMEOUT": Variable(parse.duration, 0.0),
        f"{name}_CONNECT_KEEPALIVE": Variable(parse.duration, 0.0),
        f"{name}_CONNECT_USER_TIMEOUT": Variable(parse.duration, 0.0),
        f"{name}_HTTP_QUEUE_CAPACITY": Variable(parse.whole(low=1, high=_MANY), 10_000),
        f"{name}_HTTP_FAILFAST_TIMEOUT": Variable(parse.positive_duration, failfast_s),
        f"{name}_MAX_IN_FLIGHT": Variable(parse.whole(low=1, high=_MANY), 100_000),
        f"{name}_HALF_CLOSE_GRACE": Variable(parse.up_to_an_hour, 5.0),
        f"{name}_SLOW_READER_TIMEOUT": Variable(parse.an_hour_at_most, 3600.0),
        f"{name}_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT": Variable(parse.positive_duration, 3.0),
        f"{name}_PORTS_DISABLE_PROTOCOL_DETECTION": _list(parse.ports, frozenset()),
        f"{http2}_KEEP_ALIVE_INTERVAL": Variable(parse.up_to_an_hour),
        f"{http2}_KEEP_ALIVE_TIMEOUT": Variable(parse.up_to_an_hour),
        f"{http2}_MAX_CONCURRENT_STREAMS": Variable(parse.whole(low=1, high=2**31 - 1)),
        f"{http2}_MAX_FRAME_SIZE": Variable(parse.whole(low=16_384, high=2**24 - 1)),
        f"{http2}_MAX_HEADER_LIST_SIZE": Variable(parse.whole(low=1024, high=2**20)),
        f"{http2}_MAX_PENDING_ACCEPT_RESET_STREAMS": Variable(parse.whole(low=1, high=_MANY)),
        f"{http2}_INITIAL_STREAM_WINDOW_SIZE": Variable(parse.whole(low=1, high=_WINDOW_MAX)),
        f"{http2}_INITIAL_CONNECTION_WINDOW_SIZE": Variable(
            parse.whole(low=65_535, high=_WINDOW_MAX)
        ),
        f"{http2}_MAX_SEND_BUF_SIZE": _later(parse.whole(low=1, high=2**31 - 1)),
        f"{http2}_ADAPTIVE_FLOW_CONTROL": _later(parse.switch),
    }


_Table = dict[str, Variable]

_NO_CONTROLLER: Final = "the policy controller's API is not available yet: leave it out, and INBOUND_DEFAULT_POLICY decides alone"
_NO_SPIRE: Final = "identity from SPIRE is not available: certificates come from IDENTITY_SVC_ADDR"
_CLUSTER_NETWORKS: Final = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8"

_OURS: Final[_Table] = {
    "OUTBOUND_STATIC_PORTS": _list(parse.static_outbound, ()),
    "INBOUND_STATIC_PORTS": _list(parse.static_inbound, ()),
    "ADMIN_HOSTS": _list(parse.host_names, frozenset()),
    "ADMIN_TOKEN_FILE": Variable(parse.anything, ""),
    "IDENTITY_DISABLED": Variable(parse.non_empty, default=False),
    "IO_URING": Variable(parse.switch, default=True),
    "BUSY_WAIT": Variable(parse.switch, default=True),
}
_LISTENERS: Final[_Table] = {
    "OUTBOUND_LISTEN_ADDR": Variable(parse.socket_addr, SocketAddr("127.0.0.1", 4140)),
    "OUTBOUND_LISTEN_ADDRS": Variable(parse.listen_addrs),
    "INBOUND_LISTEN_ADDR": Variable(parse.socket_addr, SocketAddr("0.0.0.0", 4143)),
    "ADMIN_LISTEN_ADDR": Variable(parse.socket_addr, SocketAddr("127.0.0.1", 4191)),
    "CONTROL_LISTEN_ADDR": _later(parse.socket_addr),
}
_POOLS: Final[_Table] = {
    "MAX_IDLE_CONNS_PER_ENDPOINT": Variable(parse.whole(low=0, high=_MANY), 10_000),
    "OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT": Variable(parse.whole(low=0, high=_MANY), 10_000),
    "HTTP2_INITIAL_STREAM_WINDOW_SIZE": Variable(parse.whole(low=1, high=_WINDOW_MAX), 65_535),
    "HTTP2_INITIAL_CONNECTION_WINDOW_SIZE": Variable(
        parse.whole(low=65_535, high=_WINDOW_MAX), 1_048_576
    ),
    "OUTBOUND_PENALIZE_FAILURES": Variable(parse.switch, default=True),
    "OUTBOUND_LOAD_BIASER_MAX_RETRY_AFTER": Variable(parse.duration, 300.0),
    "OUTBOUND_TCP_QUEUE_CAPACITY": _later(parse.whole(low=1, high=_MANY)),
    "OUTBOUND_TCP_FAILFAST_TIMEOUT": _later(parse.positive_duration),
}
_DISCOVERY: Final[_Table] = {
    "DESTINATION_SVC_ADDR": Variable(parse.authority),
    "DESTINATION_SVC_NAME": _later(),
    "DESTINATION_CONTEXT": Variable(parse.anything, ""),
    "DESTINATION_GET_SUFFIXES": _list(parse.suffixes, _SUFFIX),
    "DESTINATION_PROFILE_SUFFIXES": _list(parse.suffixes, _SUFFIX),
    "DESTINATION_PROFILE_NETWORKS": _list(parse.networks, ()),
    "DESTINATION_PROFILE_INITIAL_TIMEOUT": Variable(parse.positive_duration, 0.5),
    "OUTBOUND_DISCOVERY_IDLE_TIMEOUT": Variable(parse.positive_duration, 5.0),
    "INBOUND_DISCOVERY_IDLE_TIMEOUT": Variable(parse.positive_duration, 90.0),
    "CONTROL_STREAM_INITIAL_TIMEOUT": Variable(parse.positive_duration),
    "CONTROL_STREAM_IDLE_TIMEOUT": Variable(parse.positive_duration),
    "CONTROL_STREAM_LIFETIME": Variable(parse.positive_duration),
    "DNS_MIN_TTL": Variable(parse.duration),
    "DNS_MAX_TTL": Variable(parse.positive_duration),
    "RESOLV_CONF": Variable(parse.anything, "/etc/resolv.conf"),
    "POD_NAMESPACE": Variable(parse.anything, ""),
}
_POLICY: Final[_Table] = {
    "POLICY_SVC_ADDR": _refused(_NO_CONTROLLER),
    "POLICY_SVC_NAME": _later(),
    "POLICY_WORKLOAD": Variable(parse.anything, ""),
    "POLICY_CLUSTER_NETWORKS": _list(parse.networks, parse.networks(_CLUSTER_NETWORKS)),
    "INBOUND_DEFAULT_POLICY": Variable(parse.default_policy, "all-unauthenticated"),
    "INBOUND_PORTS": _later(parse.ports),
    "INBOUND_IPS": _list(parse.addresses, frozenset()),
    "INBOUND_PORTS_REQUIRE_IDENTITY": _list(parse.ports, frozenset()),
    "INBOUND_PORTS_REQUIRE_TLS": _list(parse.ports, frozenset()),
    "INBOUND_GATEWAY_SUFFIXES": _refused("the gateway is not available yet"),
}
_IDENTITY: Final[_Table] = {
    "IDENTITY_SVC_ADDR": Variable(parse.authority),
    "IDENTITY_SVC_NAME": Variable(parse.identity, ""),
    "IDENTITY_TRUST_ANCHORS": Variable(parse.trust_anchors, b""),
    "IDENTITY_DIR": Variable(parse.anything, ""),
    "IDENTITY_TOKEN_FILE": Variable(parse.anything, ""),
    "IDENTITY_LOCAL_NAME": Variable(parse.identity, ""),
    "IDENTITY_SERVER_ID": Variable(parse.identity, ""),
    "IDENTITY_SERVER_NAME": Variable(parse.identity, ""),
    "IDENTITY_MIN_REFRESH": Variable(parse.positive_duration, 10.0),
    "IDENTITY_MAX_REFRESH": Variable(parse.positive_duration, 86_400.0),
    "IDENTITY_SPIRE_WORKLOAD_API_ADDRESS": _refused(_NO_SPIRE),
    "IDENTITY_SPIRE_SOCKET": _refused(_NO_SPIRE),
}
_TELEMETRY: Final[_Table] = {
    "METRICS_RETAIN_IDLE": Variable(parse.positive_duration, 600.0),
    "LOG": Variable(parse.log_filter, "warn,linkerd=info"),
    "LOG_FORMAT": Variable(parse.log_format, "plain"),
    "ACCESS_LOG": _refused("the access log is not available yet"),
    "TAP_SVC_NAME": _later(),
    "OUTBOUND_METRICS_HOSTNAME_LABELS": _later(),
    "INBOUND_METRICS_AUTHORITY_LABELS": Variable(parse.one_of("unsafe"), ""),
    "TRACE_COLLECTOR_SVC_ADDR": _later(),
    "TRACE_COLLECTOR_SVC_NAME": _later(),
    "TRACE_SERVICE_NAME": _later(),
    "TRACE_ATTRIBUTES_PATH": _later(),
    "TRACE_EXTRA_ATTRIBUTES": _later(),
}
_RUNTIME: Final[_Table] = {
    "CORES": _later(),
    "CORES_MIN": _later(),
    "CORES_MAX": _later(),
    "CORES_MAX_RATIO": _later(),
    "SHUTDOWN_GRACE_PERIOD": Variable(parse.duration, 120.0),
    "SHUTDOWN_ENDPOINT_ENABLED": Variable(parse.switch, default=False),
    "INGRESS_MODE": _switch_refused("ingress mode is not available"),
    "OUTBOUND_DISABLE_INFORMATIONAL_HEADERS": Variable(parse.switch, default=False),
}

VARIABLES: Final[Mapping[str, Variable]] = {
    **_LISTENERS,
    **_side("INBOUND", connect_s=0.3, backoff_max_s=10.0, failfast_s=1.0),
    **_side("OUTBOUND", connect_s=1.0, backoff_max_s=60.0, failfast_s=3.0),
    **_POOLS,
    **_DISCOVERY,
    **_POLICY,
    **_IDENTITY,
    **_TELEMETRY,
    **_RUNTIME,
    **_OURS,
}

RENAMED: Final[Mapping[str, str]] = {
    "OUTBOUND_LISTENER": "OUTBOUND_LISTEN_ADDR",
    "PRIVATE_LISTENER": "OUTBOUND_LISTEN_ADDR",
    "INBOUND_LISTENER": "INBOUND_LISTEN_ADDR",
    "PUBLIC_LISTENER": "INBOUND_LISTEN_ADDR",
    "CONTROL_LISTENER": "CONTROL_LISTEN_ADDR",
    "METRICS_LISTENER": "ADMIN_LISTEN_ADDR",
    "CONTROL_URL": "DESTINATION_SVC_ADDR",
    "INBOUND_FORWARD": "INBOUND_STATIC_PORTS",
    "PRIVATE_FORWARD": "INBOUND_STATIC_PORTS",
    "PRIVATE_CONNECT_TIMEOUT": "INBOUND_CONNECT_TIMEOUT",
    "PUBLIC_CONNECT_TIMEOUT": "OUTBOUND_CONNECT_TIMEOUT",
    "INBOUND_ROUTER_MAX_IDLE_AGE": "INBOUND_DISCOVERY_IDLE_TIMEOUT",
    "OUTBOUND_ROUTER_MAX_IDLE_AGE": "OUTBOUND_DISCOVERY_IDLE_TIMEOUT",
}
"""Names of 2018 and the variable that took their place."""
