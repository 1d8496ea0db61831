"""Flags of the processes of a cluster's control plane, called as Linkerd's, and what their words mean.

A value that would mean something we do not do is refused, rather than taken and forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import CliError, bad_usage

if TYPE_CHECKING:
    from linkerd2_py.controlplane.destination.settings import KeepAlive
    from linkerd2_py.controlplane.destination.settings import Settings as DestinationSettings
    from linkerd2_py.controlplane.identity.certifier import Validity
    from linkerd2_py.controlplane.identity.files import IssuerFiles
    from linkerd2_py.controlplane.identity.names import TrustDomain
    from linkerd2_py.controlplane.listen import Listen
    from linkerd2_py.controlplane.mesh.networks import Cidr
    from linkerd2_py.controlplane.policy.settings import Settings as PolicySettings
    from linkerd2_py.controlplane.run.kubernetes.destination import Admission
    from linkerd2_py.controlplane.sources.kubernetes.pods import Identities

FORMATS: Final = ("plain", "json")
SCHEMES: Final = ("linkerd.io/tls", "kubernetes.io/tls")
TRANSPORT_MODES: Final = ("transparent", "transport-header")
OPAQUE_PORTS: Final = "25,587,3306,4444,5432,6379,9300,11211"
CLUSTER_NETWORKS: Final = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8"
ALL_NETWORKS: Final = "0.0.0.0/0,::/0"
KEEP_ALIVE: Final = (
    '{"keep_alive":{"interval":{"seconds":10},"timeout":{"seconds":3},"while_idle":true}}'
)
POLICIES: Final = (
    *("all-unauthenticated", "all-authenticated", "cluster-unauthenticated"),
    *("cluster-authenticated", "audit", "deny"),
)
ISSUER: Final = Path("/var/run/linkerd/identity/issuer")
TRUST_ROOTS: Final = Path("/var/run/linkerd/identity/trust-roots")
CONFIG: Final = Path("/var/run/linkerd/config")
TLS: Final = Path("/var/run/linkerd/tls")


DASHBOARD_HOSTS: Final = (
    r"^(localhost|127\.0\.0\.1|linkerd-web\.linkerd\.svc\.cluster\.local"
    r"|linkerd-web\.linkerd\.svc|\[::1\])(:\d+)?$"
)


def _value(*names: str, metavar: str, what: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=what)


def address(*names: str, what: str) -> Any:
    """A flag that says where something is, or is to be."""
    return _value(*names, metavar="[HOST]:PORT", what=what)


def addresses(*defaults: str) -> Any:
    """The flag that says where proxies ask."""
    what = f"Where proxies ask; may be given several times (default: {', '.join(defaults)})."
    return address("--addr", what=what)


def admin(*names: str) -> Any:
    """The flag that says where the process is asked how it is."""
    return address(*names, what="Where /live, /ready and /metrics are served.")


def _boolean(name: str, *, what: str) -> Any:
    return _value(name, metavar="true|false", what=what)


Kubeconfig = Annotated[
    Path | None,
    _value(
        "--kubeconfig",
        metavar="FILE",
        what="How to reach the API server (default: as the account of this pod).",
    ),
]
ControllerNamespace = Annotated[
    str,
    _value(
        "--controller-namespace",
        "--control-plane-namespace",
        metavar="NAMESPACE",
        what="Where this control plane lives.",
    ),
]
EnforcedHost = Annotated[
    str,
    _value(
        "--enforced-host",
        metavar="PATTERN",
        what="Under which Host the page is served, as a regular expression (empty: under any).",
    ),
]
LiveCalls = Annotated[
    str,
    _boolean(
        "--live-calls",
        what="Whoever reaches the page watches calls that this account may watch, by the cluster's tap.",
    ),
]
GrafanaUrl = Annotated[
    str,
    _value(
        "--grafana-external-addr",
        metavar="URL",
        what="Where a browser finds a Grafana with the mesh's dashboards (default: nowhere).",
    ),
]
InjectorNamespace = Annotated[
    str,
    _value(
        "--linkerd-namespace",
        "--controller-namespace",
        metavar="NAMESPACE",
        what="Where this control plane lives.",
    ),
]
TapNamespace = Annotated[
    str,
    _value(
        "--api-namespace",
        "--controller-namespace",
        metavar="NAMESPACE",
        what="Where this control plane lives.",
    ),
]
ConfigDir = Annotated[
    Path, _value("--config", metavar="DIR", what="Where the values of the installation are.")
]
TlsDir = Annotated[
    Path, _value("--tls", metavar="DIR", what="Where tls.crt and tls.key of the webhook are.")
]
TrustDomainName = Annotated[
    str, _value("--identity-trust-domain", metavar="NAME", what="What all identities end with.")
]
ClusterDomain = Annotated[
    str, _value("--cluster-domain", metavar="NAME", what="What names of services end with.")
]
TransportModeName = Annotated[
    str,
    _value(
        "--outbound-transport-mode",
        metavar="|".join(TRANSPORT_MODES),
        what="How proxies reach meshed ports: each at its own number, or all at the inbound port "
        "of their proxy, by a header.",
    ),
]
EnableIPv6 = Annotated[
    str, _boolean("--enable-ipv6", what="Reach pods with both kinds of addresses by IPv6.")
]
EnableH2Upgrade = Annotated[
    str, _boolean("--enable-h2-upgrade", what="Proxies speak HTTP/2 to each other.")
]
EnableSlices = Annotated[
    str, _boolean("--enable-endpoint-slices", what="Who serves is said by EndpointSlices.")
]
Http2Params = Annotated[
    str,
    _value(
        "--meshed-http2-client-params",
        metavar="JSON",
        what="When a silent connection between proxies is asked whether it is alive.",
    ),
]
OpaquePorts = Annotated[
    str,
    _value("--default-opaque-ports", metavar="PORTS", what="Those that are, where nobody says."),
]
DefaultPolicy = Annotated[
    str,
    _value(
        "--default-policy",
        metavar="POLICY",
        what=f"Whom ports let in that nobody says more of: {', '.join(POLICIES)}.",
    ),
]
ClusterNetworks = Annotated[
    str, _value("--cluster-networks", metavar="CIDRS", what="Where pods and services are.")
]
ProbeNetworks = Annotated[
    str, _value("--probe-networks", metavar="CIDRS", what="Where probes of pods come from.")
]
EgressNamespace = Annotated[
    str,
    _value(
        "--global-egress-network-namespace",
        metavar="NAMESPACE",
        what="Whose EgressNetworks are for every namespace.",
    ),
]
ServerAddr = Annotated[
    str, address("--server-addr", what="Where API servers ask whether objects can mean anything.")
]
ServerCertificate = Annotated[
    Path | None,
    _value("--server-tls-certs", metavar="FILE", what="With which certificate they are answered."),
]
ServerKey = Annotated[
    Path | None, _value("--server-tls-key", metavar="FILE", what="Its key; without one nobody is.")
]
Issuer: Final = _value("--issuer", metavar="DIR", what="Certificate and key of the issuer.")
TrustRoots = Annotated[Path, _value("--trust-roots", metavar="DIR", what="Where ca-bundle.crt is.")]
Scheme = Annotated[
    str,
    _value(
        "--identity-scheme",
        metavar="|".join(SCHEMES),
        what="What the issuer's files are called: crt.pem and key.pem, or tls.crt and tls.key.",
    ),
]
Lifetime = Annotated[
    str,
    _value(
        "--identity-issuance-lifetime", metavar="DURATION", what="How long a certificate is valid."
    ),
]
Skew = Annotated[
    str,
    _value(
        "--identity-clock-skew-allowance",
        metavar="DURATION",
        what="How far clocks may differ: it is valid that much earlier and later.",
    ),
]
LogLevel = Annotated[
    str,
    _value(
        "--log-level",
        metavar="LEVEL",
        what="trace, debug, info, warn, error or off; or a filter, as warn,linkerd=info.",
    ),
]
LogFormat = Annotated[
    str, _value("--log-format", metavar="plain|json", what="How log lines are written.")
]


def one_of(chosen: str, allowed: Sequence[str], *, flag: str) -> str:
    """A word that is known. CliError for others."""
    if chosen not in allowed:
        raise bad_usage(f"{flag}: {chosen!r} is not known: use {' or '.join(allowed)}")
    return chosen


def is_true(text: str, *, flag: str) -> bool:
    """As Go's programs write it."""
    return one_of(text, ("true", "false"), flag=flag) == "true"


def only(text: str, known: str, *, flag: str) -> None:
    """A flag of Linkerd's that has one value here."""
    if text != known:
        raise bad_usage(f"{flag}: {text!r} is not supported: it can be {known!r} only")


def listen(text: str, *, flag: str) -> Listen:
    """Where to listen."""
    from linkerd2_py.controlplane.listen import read_listen

    try:
        return read_listen(text)
    except ValueError as error:
        raise bad_usage(f"{flag}: {error}") from error


def all_listen(texts: Sequence[str] | None, *, defaults: Sequence[str]) -> list[Listen]:
    """Where to listen for proxies."""
    return [listen(text, flag="--addr") for text in texts or defaults]


def trust_domain(name: str, *, namespace: str) -> TrustDomain:
    """Of this control plane."""
    from linkerd2_py.controlplane.identity.names import TrustDomain

    try:
        return TrustDomain(name, control_namespace=namespace)
    except ValueError as error:
        raise bad_usage(f"--identity-trust-domain, --controller-namespace: {error}") from error


def identities(name: str, *, namespace: str) -> Identities:
    """Those of pods that belong to this control plane."""
    from linkerd2_py.controlplane.sources.kubernetes.pods import Identities

    checked = trust_domain(name, namespace=namespace)
    return Identities(checked.control_namespace, checked.name)


def validity(lifetime: str, *, skew: str) -> Validity:
    """Of every certificate."""
    from linkerd2_py.controlplane.identity.certifier import Validity

    lasts_s = parse_duration(lifetime, flag="--identity-issuance-lifetime")
    skew_s = parse_duration(skew, flag="--identity-clock-skew-allowance")
    try:
        return Validity(timedelta(seconds=lasts_s), timedelta(seconds=skew_s))
    except (ValueError, OverflowError) as error:
        raise bad_usage(f"--identity-issuance-lifetime: {error}") from error


def issuer_files(issuer: Path, *, trust_roots: Path, scheme: str) -> IssuerFiles:
    """Where they are mounted."""
    from linkerd2_py.controlplane.run.kubernetes.identity import mounted_issuer

    chosen = one_of(scheme, SCHEMES, flag="--identity-scheme")
    return mounted_issuer(issuer, trust_roots=trust_roots, scheme=chosen)


def destination_settings(mode: str, *, ipv6: str, opaque: str, http2: str) -> DestinationSettings:
    """What is the same in every answer of destination."""
    from linkerd2_py.controlplane.destination.settings import Settings
    from linkerd2_py.controlplane.sources.kubernetes.fields import ports_of

    one_of(mode, TRANSPORT_MODES, flag="--outbound-transport-mode")
    ports = ports_of(opaque)
    if opaque.strip() and not ports:
        raise bad_usage(f"--default-opaque-ports: {opaque!r} has no ports: write {OPAQUE_PORTS}")
    return Settings(
        outbound_transport_mode="transparent" if mode == "transparent" else "transport-header",
        enable_ipv6=is_true(ipv6, flag="--enable-ipv6"),
        default_opaque_ports=ports,
        meshed_http2=_keep_alive(http2),
    )


def admission(addr: str, *, certificate: Path | None, key: Path | None) -> Admission | None:
    """Where API servers ask; nowhere without a certificate and its key."""
    from linkerd2_py.controlplane.public_api.tls import TlsFiles
    from linkerd2_py.controlplane.run.kubernetes.destination import Admission

    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise bad_usage("--server-tls-certs and --server-tls-key go together")
    return Admission(listen(addr, flag="--server-addr"), TlsFiles(certificate, key))


def _keep_alive(text: str) -> KeepAlive | None:
    """Of the form of `KEEP_ALIVE`; `{}` asks nobody."""
    from linkerd2_py.controlplane.destination.settings import KeepAlive

    try:
        said = json.loads(text)
        if said == {}:
            return None
        found = said["keep_alive"]
        return KeepAlive(
            int(found["interval"]["seconds"]),
            int(found["timeout"]["seconds"]),
            found.get("while_idle") is True,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        words = f"--meshed-http2-client-params: {text[:80]!r} has no keep_alive: write {KEEP_ALIVE}"
        raise bad_usage(words) from error


def policy_settings(
    default: str, *, of: Identities, networks: str, probes: str, egress: str
) -> PolicySettings:
    """What is the same in every answer of policy."""
    from linkerd2_py.controlplane.policy.cluster import Cluster
    from linkerd2_py.controlplane.policy.settings import Settings

    return Settings(
        cluster=Cluster(_networks(networks, flag="--cluster-networks"), egress),
        default_policy=one_of(default, POLICIES, flag="--default-policy"),
        probe_networks=_networks(probes, flag="--probe-networks"),
        control_plane_namespace=of.control_plane,
        identity_domain=of.trust_domain,
    )


def _networks(text: str, *, flag: str) -> tuple[Cidr, ...]:
    try:
        return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise bad_usage(f"{flag}: {error}") from error


def missing_library() -> CliError:
    """Nothing of this runs without the client of Kubernetes."""
    return CliError("the client of Kubernetes is missing: pip install 'linkerd2-py[k8s]'")


def pattern(text: str, *, flag: str) -> str:
    """A regular expression. CliError for anything else."""
    import re

    try:
        re.compile(text)
    except re.error as error:
        raise bad_usage(f"{flag}: {text!r} is not a regular expression: {error}") from error
    return text


def web_url(text: str, *, flag: str) -> str:
    """An address that a page may link to, or nothing. CliError for anything else."""
    if text and not text.startswith(("http://", "https://")):
        raise bad_usage(f"{flag}: {text!r} is not a URL: write http://… or https://…")
    return text


def check_prometheus_url(url: str) -> None:
    """A usage error for what is no URL of a Prometheus; none is fine."""
    if not url:
        return
    from linkerd2_py.controlplane.metrics.prometheus.api import check_url

    try:
        check_url(url)
    except ValueError as error:
        raise bad_usage(f"--prometheus-url: {url!r} is {error}") from error
