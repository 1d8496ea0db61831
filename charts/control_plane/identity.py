"""Identity: certifies proxies, by an issuer that it is given."""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.control_plane.access import account, in_cluster, in_namespace, rule
from linkerd2_py.charts.control_plane.named import TRUST_DOMAIN, metadata, service
from linkerd2_py.charts.control_plane.pods import (
    Component,
    Container,
    deployment,
    disruption_budget,
)
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Applied,
    Equal,
    Expression,
    Function,
    Manifest,
    Not,
    Ref,
    Refusal,
    When,
    every,
    text,
)
from linkerd2_py.charts.pod.kinds import Meshed

_NAME: Final = "linkerd-identity"
_COMPONENT: Final = "identity"
_ISSUER: Final = "linkerd-identity-issuer"
_ROOTS: Final = "linkerd-identity-trust-roots"
_OWN_SCHEME: Final = Equal(Ref("identity.issuer.scheme"), "linkerd.io/tls")


def _pem(path: str) -> Expression:
    return Applied(Function.TRIM, Ref(path))


IDENTITY_COMPONENT: Final = Component(
    name=_COMPONENT,
    containers=(
        Container(
            name="identity",
            arguments=(
                "identity",
                "--addr=:8080",
                "--admin-addr=:9990",
                text("--controller-namespace=", NAMESPACE),
                text("--identity-trust-domain=", TRUST_DOMAIN),
                text("--identity-scheme=", Ref("identity.issuer.scheme")),
                text("--identity-issuance-lifetime=", Ref("identity.issuer.issuanceLifetime")),
                text("--identity-clock-skew-allowance=", Ref("identity.issuer.clockSkewAllowance")),
            ),
            ports={"ident-grpc": 8080, "ident-admin": 9990},
            admin=9990,
            probes="identity",
            resources="identityResources",
            mounts={
                "/var/run/linkerd/identity/issuer": "identity-issuer",
                "/var/run/linkerd/identity/trust-roots": "trust-roots",
            },
        ),
    ),
    meshed=Meshed(
        serves_identity=True,
        anchors_from_config_map=True,
        inbound_ports="8080,9990",
        default_inbound_policy="all-unauthenticated",
        ignore_outbound_ports=Ref("proxyInit.kubeAPIServerPorts"),
        resources=("identityProxyResources", "proxy.resources"),
    ),
    volumes=(
        {"name": "identity-issuer", "secret": {"secretName": _ISSUER}},
        {"name": "trust-roots", "configMap": {"name": _ROOTS}},
    ),
    pod_annotations="identity.podAnnotations",
    known={
        # Its proxy is certified by the container beside it: neither may wait for the other.
        "proxy.nativeSidecar": False,
        "proxy.await": False,
        "proxy.waitBeforeExitSeconds": 0,
        # It cannot look up who is let in, so that much is said here.
        "proxy.requireTLSOnInboundPorts": "8080",
    },
)

# What a proxy must know of who collects spans. Said here, where others of its identities are.
_COLLECTOR: Final = (
    ("endpoint", "give the collector's host:port"),
    ("meshIdentity.serviceAccountName", "give the service account of the collector's pods"),
    ("meshIdentity.namespace", "give the namespace of the collector's pods"),
)

IDENTITY: Final = Manifest(
    "identity.yaml",
    (
        Refusal(
            every(Not(Ref("identityTrustAnchorsPEM")), Not(Ref("identity.externalCA"))),
            "identityTrustAnchorsPEM is not set: give the certificates by which all are verified, or let "
            "another make the ConfigMap linkerd-identity-trust-roots, with identity.externalCA=true",
        ),
        Refusal(
            every(_OWN_SCHEME, Not(Ref("identity.issuer.tls.crtPEM"))),
            "identity.issuer.tls.crtPEM is not set: give the issuer's certificate, or let another make "
            "the Secret linkerd-identity-issuer, with identity.issuer.scheme=kubernetes.io/tls",
        ),
        Refusal(
            every(_OWN_SCHEME, Not(Ref("identity.issuer.tls.keyPEM"))),
            "identity.issuer.tls.keyPEM is not set: give the key of the issuer's certificate",
        ),
        *(
            Refusal(
                every(Ref("proxy.tracing.enabled"), Not(Ref(f"proxy.tracing.collector.{path}"))),
                f"proxy.tracing.collector.{path} is not set: {what}, or leave proxy.tracing.enabled=false",
            )
            for path, what in _COLLECTOR
        ),
        When(
            _OWN_SCHEME,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": metadata(_ISSUER, _COMPONENT),
                "data": {
                    "crt.pem": Applied(Function.BASE64, _pem("identity.issuer.tls.crtPEM")),
                    "key.pem": Applied(Function.BASE64, _pem("identity.issuer.tls.keyPEM")),
                },
            },
        ),
        When(
            Not(Ref("identity.externalCA")),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata(_ROOTS, _COMPONENT),
                "data": {"ca-bundle.crt": _pem("identityTrustAnchorsPEM")},
            },
        ),
        account(_NAME, _COMPONENT),
        in_cluster(
            _COMPONENT, _NAME, (rule("authentication.k8s.io", ("tokenreviews",), ("create",)),)
        ),
        in_namespace(
            _NAME,
            _COMPONENT,
            _NAME,
            (
                rule("", ("events",), ("create",)),
                rule("apps", ("deployments",), ("get",), names=(_NAME,)),
            ),
        ),
        service(_NAME, _COMPONENT, port=("grpc", 8080), target=8080),
        service(f"{_NAME}-headless", _COMPONENT, port=("grpc", 8080), target=8080, headless=True),
        disruption_budget(IDENTITY_COMPONENT),
        deployment(IDENTITY_COMPONENT),
    ),
)
