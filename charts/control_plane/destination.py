"""Destination: where names lead, who is let in, and by which routes; and whether objects can mean anything.

Two processes a pod: proxy-api holds the streams of proxies and survives the other's restarts,
destination follows the cluster and answers it, on loopback. They share a pod because proxies ask whoever
has the identity `linkerd-destination`, and because what proxy-api asks cannot itself be discovered
through proxy-api.
"""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.control_plane.access import (
    FOLLOW_CLUSTER,
    account,
    in_cluster,
    in_namespace,
    rule,
)
from linkerd2_py.charts.control_plane.named import TRUST_DOMAIN, service
from linkerd2_py.charts.control_plane.pods import (
    Component,
    Container,
    deployment,
    disruption_budget,
)
from linkerd2_py.charts.control_plane.webhooks import asked, certificate, webhook, webhooks
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Applied,
    Function,
    Joined,
    Manifest,
    Not,
    Ref,
    text,
)
from linkerd2_py.charts.pod.kinds import Meshed

_NAME: Final = "linkerd-destination"
_COMPONENT: Final = "destination"
_LOOPBACK: Final = "127.0.0.1:8087"
_VALIDATOR: Final = "policyValidator"
_VALIDATOR_SERVICE: Final = "linkerd-policy-validator"
_VALIDATOR_SECRET: Final = "linkerd-policy-validator-k8s-tls"  # noqa: S105  # its name

_PROXY_API: Final = Container(
    name="proxy-api",
    arguments=(
        "proxy-api",
        "--addr=:8086",
        "--addr=:8090",
        "--metrics-addr=:9996",
        f"--destination-addr={_LOOPBACK}",
        text("--controller-namespace=", NAMESPACE),
        text("--identity-trust-domain=", TRUST_DOMAIN),
    ),
    ports={"dest-grpc": 8086, "policy-grpc": 8090, "dest-admin": 9996},
    admin=9996,
    probes="destinationController",
    resources="proxyApiResources",
    asks_api_server=False,
)
_DESTINATION: Final = Container(
    name="destination",
    arguments=(
        "destination",
        f"--addr={_LOOPBACK}",
        "--metrics-addr=:9997",
        text("--controller-namespace=", NAMESPACE),
        text("--identity-trust-domain=", TRUST_DOMAIN),
        text("--cluster-domain=", Ref("clusterDomain")),
        text("--outbound-transport-mode=", Ref("proxy.outboundTransportMode")),
        text("--enable-ipv6=", Not(Ref("disableIPv6"))),
        text("--default-opaque-ports=", Ref("proxy.opaquePorts")),
        text(
            "--meshed-http2-client-params=",
            Applied(Function.JSON, Ref("destinationController.meshedHttp2ClientProtobuf")),
        ),
        text("--default-policy=", Ref("proxy.defaultInboundPolicy")),
        text("--cluster-networks=", Ref("clusterNetworks")),
        text("--probe-networks=", Joined(Ref("policyController.probeNetworks"), ",")),
        text("--global-egress-network-namespace=", Ref("egress.globalEgressNetworkNamespace")),
        "--server-addr=:9443",
        "--server-tls-certs=/var/run/linkerd/tls/tls.crt",
        "--server-tls-key=/var/run/linkerd/tls/tls.key",
    ),
    ports={"policy-https": 9443, "follow-admin": 9997},
    admin=9997,
    probes="destinationController",
    resources="destinationResources",
    mounts={"/var/run/linkerd/tls": "policy-tls"},
)
DESTINATION_COMPONENT: Final = Component(
    name=_COMPONENT,
    containers=(_PROXY_API, _DESTINATION),
    meshed=Meshed(
        serves_destination=True,
        anchors_from_config_map=True,
        inbound_ports="8086,8090,9443,9996,9997",
        default_inbound_policy="all-unauthenticated",
        ignore_outbound_ports=Ref("proxyInit.kubeAPIServerPorts"),
        resources=("destinationProxyResources", "proxy.resources"),
    ),
    volumes=({"name": "policy-tls", "secret": {"secretName": _VALIDATOR_SECRET}},),
    annotations={"config.linkerd.io/opaque-ports": "9443"},
    pod_annotations="destinationController.podAnnotations",
    known={"proxy.waitBeforeExitSeconds": 0},
)

_STATUSES: Final = (
    ("policy.linkerd.io", ("egressnetworks", "httplocalratelimitpolicies", "httproutes")),
    ("gateway.networking.k8s.io", ("grpcroutes", "httproutes", "tcproutes", "tlsroutes")),
)
_WRITE: Final = (
    *(rule(group, kinds, ("get",)) for group, kinds in _STATUSES),
    *(rule(group, [f"{kind}/status" for kind in kinds], ("patch",)) for group, kinds in _STATUSES),
    rule("discovery.k8s.io", ("endpointslices",), ("create", "patch", "delete")),
)

DESTINATION: Final = Manifest(
    "destination.yaml",
    (
        *certificate(
            _VALIDATOR, service=_VALIDATOR_SERVICE, secret=_VALIDATOR_SECRET, component=_COMPONENT
        ),
        account(_NAME, _COMPONENT),
        in_cluster(_COMPONENT, _NAME, (*FOLLOW_CLUSTER, *_WRITE)),
        in_namespace(
            _NAME,
            _COMPONENT,
            _NAME,
            (rule("coordination.k8s.io", ("leases",), ("create", "get", "update")),),
        ),
        service("linkerd-dst", _COMPONENT, port=("grpc", 8086), target=8086),
        service(
            "linkerd-dst-headless", _COMPONENT, port=("grpc", 8086), target=8086, headless=True
        ),
        service("linkerd-policy", _COMPONENT, port=("grpc", 8090), target=8090, headless=True),
        service(
            _VALIDATOR_SERVICE,
            _COMPONENT,
            port=("policy-https", 443),
            target="policy-https",
            opaque=True,
        ),
        disruption_budget(DESTINATION_COMPONENT),
        deployment(DESTINATION_COMPONENT),
        webhooks(
            "ValidatingWebhookConfiguration",
            "linkerd-policy-validator-webhook-config",
            _COMPONENT,
            at=_VALIDATOR,
            hooks=(
                webhook(
                    "linkerd-policy-validator.linkerd.io",
                    at=_VALIDATOR,
                    service=_VALIDATOR_SERVICE,
                    namespaceSelector=Ref("policyValidator.namespaceSelector"),
                    rules=(
                        asked(
                            "policy.linkerd.io",
                            ("*",),
                            (
                                *("authorizationpolicies", "egressnetworks"),
                                *("httplocalratelimitpolicies", "httproutes"),
                                *("meshtlsauthentications", "networkauthentications"),
                                *("serverauthorizations", "servers"),
                            ),
                            *("CREATE", "UPDATE"),
                        ),
                        asked(
                            "policy.linkerd2-py.io",
                            ("*",),
                            ("externalauthorizations", "jwtauthentications"),
                            *("CREATE", "UPDATE"),
                        ),
                        asked(
                            "linkerd.io",
                            ("v1alpha1", "v1alpha2"),
                            ("serviceprofiles",),
                            *("CREATE", "UPDATE"),
                        ),
                        asked(
                            "gateway.networking.k8s.io",
                            ("*",),
                            ("grpcroutes", "httproutes", "tcproutes", "tlsroutes"),
                            *("CREATE", "UPDATE"),
                        ),
                    ),
                ),
            ),
        ),
    ),
)
