"""`controller destination`, `proxy-api`, `identity`, `public-api`: the processes of a control plane in a
cluster, with flags that are called as Linkerd's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from linkerd2_py.base import logs
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.layout import Command, Group

if TYPE_CHECKING:
    from linkerd2_py.controlplane.destination.settings import Settings
    from linkerd2_py.controlplane.identity.certifier import Validity
    from linkerd2_py.controlplane.identity.files import IssuerFiles
    from linkerd2_py.controlplane.identity.names import TrustDomain
    from linkerd2_py.controlplane.listen import Listen
    from linkerd2_py.controlplane.run.kubernetes.destination import DestinationProcess
    from linkerd2_py.controlplane.run.kubernetes.identity import IdentityProcess
    from linkerd2_py.controlplane.run.kubernetes.process import Compose
    from linkerd2_py.controlplane.sources.kubernetes.pods import Identities

app = typer.Typer(
    cls=Group,
    help="Run one process of a control plane in a cluster.",
    add_completion=False,
    rich_markup_mode=None,
)

_DESTINATION: Final = "linkerd-dst-headless.linkerd.svc.cluster.local:8086"
_FORMATS: Final = ("plain", "json")
_ALL_PORTS: Final = (":8086", ":8090", ":8080")
"""Those that proxies know of destination, policy and identity: each answers everything."""
_TRANSPORT_MODES: Final = ("transparent", "transport-header")
_OPAQUE_PORTS: Final = "25,587,3306,4444,5432,6379,9300,11211"
_TRUST_ROOTS: Final = Path("/var/run/linkerd/identity/trust-roots")
_SCHEMES: Final = ("linkerd.io/tls", "kubernetes.io/tls")


def _address(*names: str, what: str) -> Any:
    return typer.Option(*names, metavar="[HOST]:PORT", help=what)


def _addresses(*defaults: str) -> Any:
    what = f"Where proxies ask; may be given several times (default: {', '.join(defaults)})."
    return _address("--addr", what=what)


def _admin(*names: str) -> Any:
    return _address(*names, what="Where /live, /ready and /metrics are served.")


Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="How to reach the API server (default: as the account of this pod).",
    ),
]
ControllerNamespace = Annotated[
    str,
    typer.Option(
        "--controller-namespace", metavar="NAMESPACE", help="Where this control plane lives."
    ),
]
TrustDomainName = Annotated[
    str,
    typer.Option("--identity-trust-domain", metavar="NAME", help="What all identities end with."),
]
TransportModeName = Annotated[
    str,
    typer.Option(
        "--outbound-transport-mode",
        metavar="|".join(_TRANSPORT_MODES),
        help="How proxies reach meshed ports: each at its own number, or all at the inbound port "
        "of their proxy, by a header.",
    ),
]
EnableIPv6 = Annotated[
    bool,
    typer.Option(
        "--enable-ipv6/--disable-ipv6", help="Reach pods with both kinds of addresses by IPv6."
    ),
]
OpaquePorts = Annotated[
    str,
    typer.Option(
        "--default-opaque-ports", metavar="PORTS", help="Those that are, where nobody says which."
    ),
]
LogLevel = Annotated[
    str,
    typer.Option(
        "--log-level",
        metavar="LEVEL",
        help="trace, debug, info, warn, error or off; or a filter, as warn,linkerd=info.",
    ),
]
LogFormat = Annotated[
    str, typer.Option("--log-format", metavar="plain|json", help="How log lines are written.")
]


_ISSUER: Any = typer.Option("--issuer", metavar="DIR", help="Certificate and key of the issuer.")
TrustRoots = Annotated[
    Path, typer.Option("--trust-roots", metavar="DIR", help="Where ca-bundle.crt is.")
]
Scheme = Annotated[
    str,
    typer.Option(
        "--identity-scheme",
        metavar="|".join(_SCHEMES),
        help="What the issuer's files are called: crt.pem and key.pem, or tls.crt and tls.key.",
    ),
]
Lifetime = Annotated[
    str,
    typer.Option(
        "--identity-issuance-lifetime", metavar="DURATION", help="How long a certificate is valid."
    ),
]
Skew = Annotated[
    str,
    typer.Option(
        "--identity-clock-skew-allowance",
        metavar="DURATION",
        help="How far clocks may differ: it is valid that much earlier and later.",
    ),
]


@app.command("destination", cls=Command)
def destination(
    addr: Annotated[list[str] | None, _addresses(":8086")] = None,
    metrics_addr: Annotated[str, _admin("--metrics-addr", "--admin-addr")] = ":9996",
    kubeconfig: Kubeconfig = None,
    controller_namespace: ControllerNamespace = "linkerd",
    identity_trust_domain: TrustDomainName = "cluster.local",
    outbound_transport_mode: TransportModeName = _TRANSPORT_MODES[0],
    enable_ipv6: EnableIPv6 = False,  # typer's
    default_opaque_ports: OpaquePorts = _OPAQUE_PORTS,
    log_level: LogLevel = "info",
    log_format: LogFormat = "plain",
) -> None:
    """Watch the cluster and answer where names and addresses lead."""
    _prepare(log_level, log_format=log_format)
    process = _destination(
        _all_listen(addr, defaults=[":8086"]),
        identities=_identities(identity_trust_domain, namespace=controller_namespace),
        kubeconfig=kubeconfig,
        settings=_settings(outbound_transport_mode, ipv6=enable_ipv6, opaque=default_opaque_ports),
    )
    _run(process.compose, admin=_listen(metrics_addr, flag="--metrics-addr"))


@app.command("identity", cls=Command)
def identity(
    addr: Annotated[list[str] | None, _addresses(":8080")] = None,
    admin_addr: Annotated[str, _admin("--admin-addr", "--metrics-addr")] = ":9990",
    kubeconfig: Kubeconfig = None,
    controller_namespace: ControllerNamespace = "linkerd",
    identity_trust_domain: TrustDomainName = "cluster.local",
    issuer: Annotated[Path, _ISSUER] = Path("/var/run/linkerd/identity/issuer"),
    trust_roots: TrustRoots = _TRUST_ROOTS,
    scheme: Scheme = _SCHEMES[0],
    lifetime: Lifetime = "24h",
    skew: Skew = "20s",
    log_level: LogLevel = "info",
    log_format: LogFormat = "plain",
) -> None:
    """Certify the keys of workloads that prove by a token which service account they are."""
    _prepare(log_level, log_format=log_format)
    process = _identity(
        _all_listen(addr, defaults=[":8080"]),
        issuer=_files(issuer, trust_roots=trust_roots, scheme=scheme),
        trust_domain=_trust_domain(identity_trust_domain, namespace=controller_namespace),
        validity=_validity(lifetime, skew=skew),
        kubeconfig=kubeconfig,
    )
    _run(process.compose, admin=_listen(admin_addr, flag="--admin-addr"))


@app.command("proxy-api", cls=Command)
def proxy_api(
    addr: Annotated[list[str] | None, _addresses(*_ALL_PORTS)] = None,
    metrics_addr: Annotated[str, _admin("--metrics-addr", "--admin-addr")] = ":9996",
    destination_addr: Annotated[
        str | None,
        _address(
            "--destination-addr",
            what="Who answers (default: this process, which then follows the cluster itself).",
        ),
    ] = None,
    identity_addr: Annotated[
        str | None,
        _address(
            "--identity-addr", what="Who certifies (default: this process, if --issuer is given)."
        ),
    ] = None,
    kubeconfig: Kubeconfig = None,
    controller_namespace: ControllerNamespace = "linkerd",
    identity_trust_domain: TrustDomainName = "cluster.local",
    issuer: Annotated[Path | None, _ISSUER] = None,
    trust_roots: TrustRoots = _TRUST_ROOTS,
    scheme: Scheme = _SCHEMES[0],
    lifetime: Lifetime = "24h",
    skew: Skew = "20s",
    outbound_transport_mode: TransportModeName = _TRANSPORT_MODES[0],
    enable_ipv6: EnableIPv6 = False,  # typer's
    default_opaque_ports: OpaquePorts = _OPAQUE_PORTS,
    log_level: LogLevel = "info",
    log_format: LogFormat = "plain",
) -> None:
    """Hold the streams of proxies, and ask a destination each question once."""
    _prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.run.kubernetes.proxy_api import ProxyApiProcess

    if issuer and identity_addr:
        raise bad_usage("--issuer certifies here, --identity-addr elsewhere: give one of them")
    certifies = issuer and _identity(
        (),
        issuer=_files(issuer, trust_roots=trust_roots, scheme=scheme),
        trust_domain=_trust_domain(identity_trust_domain, namespace=controller_namespace),
        validity=_validity(lifetime, skew=skew),
        kubeconfig=kubeconfig,
    )
    process = ProxyApiProcess(
        listen=_all_listen(addr, defaults=_ALL_PORTS),
        destination=destination_addr
        or _destination(
            (),
            identities=_identities(identity_trust_domain, namespace=controller_namespace),
            kubeconfig=kubeconfig,
            settings=_settings(
                outbound_transport_mode, ipv6=enable_ipv6, opaque=default_opaque_ports
            ),
        ),
        identity=identity_addr or certifies or None,
    )
    _run(process.compose, admin=_listen(metrics_addr, flag="--metrics-addr"))


@app.command("public-api", cls=Command)
def public_api(
    addr: Annotated[str, _address("--addr", what="Where people ask.")] = ":8085",
    metrics_addr: Annotated[str, _admin("--metrics-addr", "--admin-addr")] = ":9995",
    destination_addr: Annotated[
        str, _address("--destination-addr", what="Where proxies ask; its health is in `check`.")
    ] = _DESTINATION,
    kubeconfig: Kubeconfig = None,
    controller_namespace: ControllerNamespace = "linkerd",
    identity_trust_domain: TrustDomainName = "cluster.local",
    log_level: LogLevel = "info",
    log_format: LogFormat = "plain",
) -> None:
    """Watch the cluster, scrape its proxies, and answer what people ask."""
    _prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.run.kubernetes.public_api import PublicApiProcess

    process = PublicApiProcess(
        listen=_listen(addr, flag="--addr"),
        destination=destination_addr,
        identities=_identities(identity_trust_domain, namespace=controller_namespace),
        kubeconfig=kubeconfig,
    )
    _run(process.compose, admin=_listen(metrics_addr, flag="--metrics-addr"))


def _prepare(level: str, *, log_format: str) -> None:
    """Everything by which a start can fail before anything of weight is imported."""
    filter_text = level if "=" in level or "," in level else f"warn,linkerd={level}"
    chosen = _one_of(log_format, _FORMATS, flag="--log-format")
    try:
        logs.configure(filter_text=filter_text, style="json" if chosen == "json" else "plain")
    except logs.FilterError as error:
        raise bad_usage(f"--log-level: {error}") from error
    if find_spec("kubernetes") is None:
        raise CliError("the client of Kubernetes is missing: pip install 'linkerd2-py[k8s]'")


def _run(compose: Compose, *, admin: Listen) -> None:
    from linkerd2_py.controlplane.run.kubernetes.process import StartError, run_process

    try:
        run_process(compose, admin=admin)
    except StartError as error:
        raise CliError(str(error)) from error


def _one_of(chosen: str, allowed: Sequence[str], *, flag: str) -> str:
    if chosen not in allowed:
        raise bad_usage(f"{flag}: {chosen!r} is not known: use {' or '.join(allowed)}")
    return chosen


def _listen(text: str, *, flag: str) -> Listen:
    from linkerd2_py.controlplane.listen import read_listen

    try:
        return read_listen(text)
    except ValueError as error:
        raise bad_usage(f"{flag}: {error}") from error


def _all_listen(texts: Sequence[str] | None, *, defaults: Sequence[str]) -> list[Listen]:
    return [_listen(text, flag="--addr") for text in texts or defaults]


def _destination(
    listen: Sequence[Listen],
    *,
    identities: Identities,
    kubeconfig: Path | None,
    settings: Settings,
) -> DestinationProcess:
    from linkerd2_py.controlplane.run.kubernetes.destination import DestinationProcess

    return DestinationProcess(listen, identities, kubeconfig, settings)


def _settings(mode: str, *, ipv6: bool, opaque: str) -> Settings:
    from linkerd2_py.controlplane.destination.settings import Settings
    from linkerd2_py.controlplane.sources.kubernetes.fields import ports_of

    _one_of(mode, _TRANSPORT_MODES, flag="--outbound-transport-mode")
    return Settings(
        outbound_transport_mode="transparent" if mode == "transparent" else "transport-header",
        enable_ipv6=ipv6,
        default_opaque_ports=ports_of(opaque),
    )


def _identity(
    listen: Sequence[Listen],
    *,
    issuer: IssuerFiles,
    trust_domain: TrustDomain,
    validity: Validity,
    kubeconfig: Path | None,
) -> IdentityProcess:
    from linkerd2_py.controlplane.run.kubernetes.identity import IdentityProcess

    return IdentityProcess(listen, issuer, trust_domain, validity, kubeconfig)


def _files(issuer: Path, *, trust_roots: Path, scheme: str) -> IssuerFiles:
    from linkerd2_py.controlplane.run.kubernetes.identity import mounted_issuer

    chosen = _one_of(scheme, _SCHEMES, flag="--identity-scheme")
    return mounted_issuer(issuer, trust_roots=trust_roots, scheme=chosen)


def _trust_domain(name: str, *, namespace: str) -> TrustDomain:
    from linkerd2_py.controlplane.identity.names import TrustDomain

    try:
        return TrustDomain(name, control_namespace=namespace)
    except ValueError as error:
        raise bad_usage(f"--identity-trust-domain, --controller-namespace: {error}") from error


def _identities(trust_domain: str, *, namespace: str) -> Identities:
    from linkerd2_py.controlplane.sources.kubernetes.pods import Identities

    checked = _trust_domain(trust_domain, namespace=namespace)
    return Identities(checked.control_namespace, checked.name)


def _validity(lifetime: str, *, skew: str) -> Validity:
    from linkerd2_py.controlplane.identity.certifier import Validity

    lasts_s = parse_duration(lifetime, flag="--identity-issuance-lifetime")
    skew_s = parse_duration(skew, flag="--identity-clock-skew-allowance")
    try:
        return Validity(timedelta(seconds=lasts_s), timedelta(seconds=skew_s))
    except (ValueError, OverflowError) as error:
        raise bad_usage(f"--identity-issuance-lifetime: {error}") from error
