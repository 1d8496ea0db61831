"""The environment of a proxy, as Linkerd's injector gives it."""

from __future__ import annotations

import re
from typing import Final

from linkerd2_py.base.tap import SERVICE_ACCOUNT
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Applied,
    Choice,
    Entries,
    Equal,
    Function,
    Items,
    Not,
    Operand,
    Ref,
    Text,
    Tree,
    When,
    every,
    spread,
    text,
)
from linkerd2_py.charts.pod.kinds import POD_INFO, TRACED, TRUST_DOMAIN, Meshed, as_text

_PREFIX: Final = "LINKERD2_PROXY_"
_IDENTITY_DIR: Final = "/var/run/linkerd/identity/end-entity"
_PROJECTED_TOKEN: Final = "/var/run/secrets/tokens/linkerd-identity-token"  # noqa: S105  # a path
_OWN_TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105  # a path
_HTTP2: Final = (
    *("adaptiveFlowControl", "initialConnectionWindowSize", "initialStreamWindowSize"),
    *("keepAliveInterval", "keepAliveTimeout", "maxConcurrentStreams", "maxFrameSize"),
    *("maxHeaderListSize", "maxPendingAcceptResetStreams", "maxSendBufSize"),
)
_CAPITAL: Final = re.compile(r"(?=[A-Z])")


def environment(pod: Meshed) -> list[Tree]:
    """Kubernetes replaces `$(name)` of what stands before."""
    return [
        *_about_the_pod(),
        *_runtime(pod),
        *_control_plane(pod),
        *_timeouts(),
        *_listeners(pod),
        *_traffic(),
        *_tracing(),
        *_http2(),
        _said("INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", Ref("proxy.opaquePorts")),
        _variable(
            "DESTINATION_CONTEXT",
            '{"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}\n',
        ),
        *_identity(pod),
        _said("ACCESS_LOG", Ref("proxy.accessLog")),
        _said("SHUTDOWN_GRACE_PERIOD", pod.shutdown_grace_period),
        spread(Ref("proxy.additionalEnv")),
        spread(Ref("proxy.experimentalEnv")),
    ]


def _variable(name: str, value: Operand) -> Tree:
    return {
        "name": f"{_PREFIX}{name}",
        "value": value if isinstance(value, str | Text) else as_text(value),
    }


def _said(name: str, value: Operand) -> When:
    """A variable that is there only where it says something."""
    return When(value, _variable(name, value))


def _field(name: str, path: str) -> Tree:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _about_the_pod() -> list[Tree]:
    return [
        _field("_pod_name", "metadata.name"),
        _field("_pod_ns", "metadata.namespace"),
        _field("_pod_uid", "metadata.uid"),
        _field("_pod_ip", "status.podIP"),
        _field("_pod_nodeName", "spec.nodeName"),
        {"name": "_pod_containerName", "value": "linkerd-proxy"},
    ]


def _runtime(pod: Meshed) -> list[Tree]:
    workers = "proxy.runtime.workers"
    minimum = Choice(Ref(f"{workers}.minimum"), Ref(f"{workers}.minimum"), 1)
    shows_headers = Equal(Ref("proxy.logHTTPHeaders"), "insecure")
    hidden = Choice(shows_headers, "", ",[{headers}]=off,[{request}]=off")
    return [
        _variable("CORES", minimum),
        _variable("CORES_MIN", minimum),
        _said("CORES_MAX", Ref(f"{workers}.maximum")),
        _said("CORES_MAX_RATIO", Ref(f"{workers}.maximumCPURatio")),
        _said("INBOUND_PORTS_REQUIRE_IDENTITY", pod.require_identity),
        _said("INBOUND_PORTS_REQUIRE_TLS", Ref("proxy.requireTLSOnInboundPorts")),
        _variable("SHUTDOWN_ENDPOINT_ENABLED", Ref("proxy.enableShutdownEndpoint")),
        _variable("LOG", text(Ref("proxy.logLevel"), hidden)),
        _variable("LOG_FORMAT", Ref("proxy.logFormat")),
    ]


def _service(name: str, port: int, *, is_own: bool) -> Operand:
    if is_own:
        return f"localhost.:{port}"
    return text(name, ".", NAMESPACE, ".svc.", Ref("clusterDomain"), f".:{port}")


def _control_plane(pod: Meshed) -> list[Tree]:
    streams = "proxy.control.streams"
    own = pod.serves_destination
    return [
        _variable("DESTINATION_SVC_ADDR", _service("linkerd-dst-headless", 8086, is_own=own)),
        _variable("DESTINATION_PROFILE_NETWORKS", Ref("clusterNetworks")),
        _variable("POLICY_SVC_ADDR", _service("linkerd-policy", 8090, is_own=own)),
        _variable("POLICY_WORKLOAD", '{"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}\n'),
        _variable("INBOUND_DEFAULT_POLICY", pod.default_inbound_policy),
        _variable("POLICY_CLUSTER_NETWORKS", Ref("clusterNetworks")),
        _variable("CONTROL_STREAM_INITIAL_TIMEOUT", Ref(f"{streams}.initialTimeout")),
        _variable("CONTROL_STREAM_IDLE_TIMEOUT", Ref(f"{streams}.idleTimeout")),
        _variable("CONTROL_STREAM_LIFETIME", Ref(f"{streams}.lifetime")),
    ]


def _timeouts() -> list[Tree]:
    never = "365d"
    return [
        _said("INBOUND_CONNECT_TIMEOUT", Ref("proxy.inboundConnectTimeout")),
        _said("OUTBOUND_CONNECT_TIMEOUT", Ref("proxy.outboundConnectTimeout")),
        _said("OUTBOUND_DISCOVERY_IDLE_TIMEOUT", Ref("proxy.outboundDiscoveryCacheUnusedTimeout")),
        _said("INBOUND_DISCOVERY_IDLE_TIMEOUT", Ref("proxy.inboundDiscoveryCacheUnusedTimeout")),
        When(
            Ref("proxy.disableOutboundProtocolDetectTimeout"),
            _variable("OUTBOUND_DETECT_TIMEOUT", never),
        ),
        When(
            Ref("proxy.disableInboundProtocolDetectTimeout"),
            _variable("INBOUND_DETECT_TIMEOUT", never),
        ),
    ]


def _listeners(pod: Meshed) -> list[Tree]:
    everywhere = Choice(Ref("disableIPv6"), "0.0.0.0", "[::]")
    outbound = Ref("proxy.ports.outbound")
    second = Choice(Ref("disableIPv6"), "", text(",[::1]:", outbound))
    return [
        _variable("CONTROL_LISTEN_ADDR", text(everywhere, ":", Ref("proxy.ports.control"))),
        _variable("ADMIN_LISTEN_ADDR", text(everywhere, ":", Ref("proxy.ports.admin"))),
        _variable("OUTBOUND_LISTEN_ADDR", text("127.0.0.1:", outbound)),
        _variable("OUTBOUND_LISTEN_ADDRS", text("127.0.0.1:", outbound, second)),
        _variable("INBOUND_LISTEN_ADDR", text(everywhere, ":", Ref("proxy.ports.inbound"))),
        _field(f"{_PREFIX}INBOUND_IPS", "status.podIPs"),
        {
            "name": f"{_PREFIX}INBOUND_PORTS",
            "value": When(pod.inbound_ports, as_text(pod.inbound_ports)),
        },
    ]


def _traffic() -> list[Tree]:
    names = Choice(
        Ref("proxy.enableExternalProfiles"), ".", text("svc.", Ref("clusterDomain"), ".")
    )
    return [
        When(
            Ref("proxy.isGateway"),
            _variable("INBOUND_GATEWAY_SUFFIXES", text("svc.", Ref("clusterDomain"), ".")),
        ),
        When(Ref("proxy.isIngress"), _variable("INGRESS_MODE", "true")),
        _variable("DESTINATION_PROFILE_SUFFIXES", names),
        _variable("INBOUND_ACCEPT_KEEPALIVE", "10000ms"),
        _variable("OUTBOUND_CONNECT_KEEPALIVE", "10000ms"),
        _variable("INBOUND_ACCEPT_USER_TIMEOUT", "30s"),
        _variable("OUTBOUND_CONNECT_USER_TIMEOUT", "30s"),
        _variable("OUTBOUND_METRICS_HOSTNAME_LABELS", Ref("proxy.metrics.hostnameLabels")),
    ]


def _tracing() -> list[Tree]:
    """Who collects spans, and what they say of this pod."""
    tracing = "proxy.tracing"
    identity = f"{tracing}.collector.meshIdentity"
    # Without a name nobody proves to be the collector: such values are refused before this.
    collector = text(
        Ref(f"{identity}.serviceAccountName"),
        ".",
        Ref(f"{identity}.namespace"),
        *(".serviceaccount.identity.", NAMESPACE, ".", TRUST_DOMAIN),
    )
    variables: list[Tree] = [
        _variable("TRACE_ATTRIBUTES_PATH", f"{POD_INFO}/labels"),
        _variable("TRACE_PROTOCOL", "opentelemetry"),
        _variable("TRACE_SERVICE_NAME", Ref(f"{tracing}.traceServiceName")),
        _variable("TRACE_COLLECTOR_SVC_ADDR", Ref(f"{tracing}.collector.endpoint")),
        _variable("TRACE_COLLECTOR_SVC_NAME", collector),
        _variable("TRACE_EXTRA_ATTRIBUTES", Entries(Ref(f"{tracing}.labels"))),
    ]
    return [When(TRACED, Items(tuple(variables)))]


def _http2() -> list[Tree]:
    return [
        _said(
            f"{side.upper()}_SERVER_HTTP2_{_CAPITAL.sub('_', name).upper()}",
            Ref(f"proxy.{side}.server.http2.{name}"),
        )
        for side in ("inbound", "outbound")
        for name in _HTTP2
    ]


def _identity(pod: Meshed) -> list[Tree]:
    domain = (".serviceaccount.identity.", NAMESPACE, ".", TRUST_DOMAIN)
    destination = text("linkerd-destination.", NAMESPACE, *domain)
    service = _service("linkerd-identity-headless", 8080, is_own=pod.serves_identity)
    projects = Ref("identity.serviceAccountTokenProjection")
    return [
        _field("_pod_sa", "spec.serviceAccountName"),
        {"name": "_l5d_ns", "value": NAMESPACE},
        {"name": "_l5d_trustdomain", "value": TRUST_DOMAIN},
        _variable("IDENTITY_DIR", _IDENTITY_DIR),
        _anchors(pod),
        _variable("IDENTITY_TOKEN_FILE", Choice(projects, _PROJECTED_TOKEN, _OWN_TOKEN)),
        _variable("IDENTITY_SVC_ADDR", service),
        _variable("IDENTITY_LOCAL_NAME", text("$(_pod_sa).$(_pod_ns)", *domain)),
        _variable("IDENTITY_SVC_NAME", text("linkerd-identity.", NAMESPACE, *domain)),
        _variable("DESTINATION_SVC_NAME", destination),
        _variable("POLICY_SVC_NAME", destination),
        When(
            every(Ref("tap.enabled"), Not(Ref("proxy.disableTap"))),
            _variable("TAP_SVC_NAME", text(SERVICE_ACCOUNT, ".", NAMESPACE, *domain)),
        ),
    ]


def _anchors(pod: Meshed) -> Tree:
    if pod.anchors_from_config_map:
        source = {"name": "linkerd-identity-trust-roots", "key": "ca-bundle.crt"}
        return {
            "name": f"{_PREFIX}IDENTITY_TRUST_ANCHORS",
            "valueFrom": {"configMapKeyRef": source},
        }
    anchors = Applied(Function.TRIM, Ref("identityTrustAnchorsPEM"))
    return _variable("IDENTITY_TRUST_ANCHORS", text(anchors, "\n"))
