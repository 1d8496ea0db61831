"""`controller destination`, `proxy-api`, `identity`, `public-api`, `injector`, `web`: the processes of a
control plane in a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from linkerd2_py.cli import controller_flags as flags
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.layout import Command, Group
from linkerd2_py.cli.processes import prepare, run_until_told

app = typer.Typer(
    cls=Group,
    help="Run one process of a control plane in a cluster.",
    add_completion=False,
    rich_markup_mode=None,
)

_DESTINATION: Final = "linkerd-dst-headless.linkerd.svc.cluster.local:8086"
_PUBLIC_API: Final = "linkerd-public-api.linkerd.svc.cluster.local:8085"
_DESTINATION_PORTS: Final = (":8086", ":8090")
"""Those that proxies know of destination and policy: each answers both."""
_ALL_PORTS: Final = (*_DESTINATION_PORTS, ":8080")
"""And of identity."""


@app.command("destination", cls=Command)
def destination(
    addr: Annotated[list[str] | None, flags.addresses(*_DESTINATION_PORTS)] = None,
    metrics_addr: Annotated[str, flags.admin("--metrics-addr", "--admin-addr")] = ":9996",
    kubeconfig: flags.Kubeconfig = None,
    controller_namespace: flags.ControllerNamespace = "linkerd",
    identity_trust_domain: flags.TrustDomainName = "cluster.local",
    cluster_domain: flags.ClusterDomain = "cluster.local",
    outbound_transport_mode: flags.TransportModeName = flags.TRANSPORT_MODES[0],
    enable_ipv6: flags.EnableIPv6 = "false",
    enable_h2_upgrade: flags.EnableH2Upgrade = "true",
    enable_endpoint_slices: flags.EnableSlices = "true",
    meshed_http2_client_params: flags.Http2Params = flags.KEEP_ALIVE,
    default_opaque_ports: flags.OpaquePorts = flags.OPAQUE_PORTS,
    default_policy: flags.DefaultPolicy = flags.POLICIES[0],
    cluster_networks: flags.ClusterNetworks = flags.CLUSTER_NETWORKS,
    probe_networks: flags.ProbeNetworks = flags.ALL_NETWORKS,
    egress_namespace: flags.EgressNamespace = "linkerd-egress",
    server_addr: flags.ServerAddr = ":9443",
    server_tls_certs: flags.ServerCertificate = None,
    server_tls_key: flags.ServerKey = None,
    log_level: flags.LogLevel = "info",
    log_format: flags.LogFormat = "plain",
) -> None:
    """Watch the cluster and answer where names and addresses lead, who is let in, and by which routes."""
    prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.run.kubernetes.destination import DestinationProcess

    flags.only(cluster_domain, "cluster.local", flag="--cluster-domain")
    flags.only(enable_h2_upgrade, "true", flag="--enable-h2-upgrade")
    flags.only(enable_endpoint_slices, "true", flag="--enable-endpoint-slices")
    ours = flags.identities(identity_trust_domain, namespace=controller_namespace)
    process = DestinationProcess(
        listen=flags.all_listen(addr, defaults=_DESTINATION_PORTS),
        identities=ours,
        kubeconfig=kubeconfig,
        settings=flags.destination_settings(
            outbound_transport_mode,
            ipv6=enable_ipv6,
            opaque=default_opaque_ports,
            http2=meshed_http2_client_params,
        ),
        policy=flags.policy_settings(
            default_policy,
            of=ours,
            networks=cluster_networks,
            probes=probe_networks,
            egress=egress_namespace,
        ),
        admission=flags.admission(server_addr, certificate=server_tls_certs, key=server_tls_key),
    )
    run_until_told(
        process.compose, admin=flags.listen(metrics_addr, flag="--metrics-addr or --admin-addr")
    )


@app.command("identity", cls=Command)
def identity(
    addr: Annotated[list[str] | None, flags.addresses(":8080")] = None,
    admin_addr: Annotated[str, flags.admin("--admin-addr", "--metrics-addr")] = ":9990",
    kubeconfig: flags.Kubeconfig = None,
    controller_namespace: flags.ControllerNamespace = "linkerd",
    identity_trust_domain: flags.TrustDomainName = "cluster.local",
    issuer: Annotated[Path, flags.Issuer] = flags.ISSUER,
    trust_roots: flags.TrustRoots = flags.TRUST_ROOTS,
    identity_scheme: flags.Scheme = flags.SCHEMES[0],
    identity_issuance_lifetime: flags.Lifetime = "24h",
    identity_clock_skew_allowance: flags.Skew = "20s",
    log_level: flags.LogLevel = "info",
    log_format: flags.LogFormat = "plain",
) -> None:
    """Certify the keys of workloads that prove by a token which service account they are."""
    prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.run.kubernetes.identity import IdentityProcess

    process = IdentityProcess(
        listen=flags.all_listen(addr, defaults=[":8080"]),
        issuer=flags.issuer_files(issuer, trust_roots=trust_roots, scheme=identity_scheme),
        trust_domain=flags.trust_domain(identity_trust_domain, namespace=controller_namespace),
        validity=flags.validity(identity_issuance_lifetime, skew=identity_clock_skew_allowance),
        kubeconfig=kubeconfig,
    )
    run_until_told(
        process.compose, admin=flags.listen(admin_addr, flag="--admin-addr or --metrics-addr")
    )


@app.command("proxy-api", cls=Command)
def proxy_api(
    addr: Annotated[list[str] | None, flags.addresses(*_ALL_PORTS)] = None,
    metrics_addr: Annotated[str, flags.admin("--metrics-addr", "--admin-addr")] = ":9996",
    destination_addr: Annotated[
        str | None,
        flags.address(
            "--destination-addr",
            what="Who answers (default: this process, which then follows the cluster itself).",
        ),
    ] = None,
    identity_addr: Annotated[
        str | None,
        flags.address(
            "--identity-addr", what="Who certifies (default: this process, if --issuer is given)."
        ),
    ] = None,
    kubeconfig: flags.Kubeconfig = None,
    controller_namespace: flags.ControllerNamespace = "linkerd",
    identity_trust_domain: flags.TrustDomainName = "cluster.local",
    issuer: Annotated[Path | None, flags.Issuer] = None,
    trust_roots: flags.TrustRoots = flags.TRUST_ROOTS,
    identity_scheme: flags.Scheme = flags.SCHEMES[0],
    identity_issuance_lifetime: flags.Lifetime = "24h",
    identity_clock_skew_allowance: flags.Skew = "20s",
    outbound_transport_mode: flags.TransportModeName = flags.TRANSPORT_MODES[0],
    enable_ipv6: flags.EnableIPv6 = "false",
    meshed_http2_client_params: flags.Http2Params = flags.KEEP_ALIVE,
    default_opaque_ports: flags.OpaquePorts = flags.OPAQUE_PORTS,
    default_policy: flags.DefaultPolicy = flags.POLICIES[0],
    cluster_networks: flags.ClusterNetworks = flags.CLUSTER_NETWORKS,
    probe_networks: flags.ProbeNetworks = flags.ALL_NETWORKS,
    egress_namespace: flags.EgressNamespace = "linkerd-egress",
    log_level: flags.LogLevel = "info",
    log_format: flags.LogFormat = "plain",
) -> None:
    """Hold the streams of proxies, and ask a destination each question once."""
    prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.run.kubernetes.destination import DestinationProcess
    from linkerd2_py.controlplane.run.kubernetes.identity import IdentityProcess
    from linkerd2_py.controlplane.run.kubernetes.proxy_api import ProxyApiProcess

    if issuer and identity_addr:
        raise bad_usage("--issuer certifies here, --identity-addr elsewhere: give one of them")
    ours = flags.identities(identity_trust_domain, namespace=controller_namespace)
    answers = DestinationProcess(
        listen=(),
        identities=ours,
        kubeconfig=kubeconfig,
        settings=flags.destination_settings(
            outbound_transport_mode,
            ipv6=enable_ipv6,
            opaque=default_opaque_ports,
            http2=meshed_http2_client_params,
        ),
        policy=flags.policy_settings(
            default_policy,
            of=ours,
            networks=cluster_networks,
            probes=probe_networks,
            egress=egress_namespace,
        ),
    )
    certifies = issuer and IdentityProcess(
        listen=(),
        issuer=flags.issuer_files(issuer, trust_roots=trust_roots, scheme=identity_scheme),
        trust_domain=flags.trust_domain(identity_trust_domain, namespace=controller_namespace),
        validity=flags.validity(identity_issuance_lifetime, skew=identity_clock_skew_allowance),
        kubeconfig=kubeconfig,
    )
    process = ProxyApiProcess(
        listen=flags.all_listen(addr, defaults=_ALL_PORTS),
        destination=destination_addr or answers,
        identity=identity_addr or certifies or None,
    )
    run_until_told(
        process.compose, admin=flags.listen(metrics_addr, flag="--metrics-addr or --admin-addr")
    )


@app.command("public-api", cls=Command)
def public_api(
    addr: Annotated[str, flags.address("--addr", what="Where people ask.")] = ":8085",
    metrics_addr: Annotated[str, flags.admin("--metrics-addr", "--admin-addr")] = ":9995",
    destination_addr: Annotated[
        str, flags.address("--destination-addr", what="Where proxies ask; `check` asks how it is.")
    ] = _DESTINATION,
    prometheus_url: Annotated[
        str,
        typer.Option(
            "--prometheus-url",
            metavar="URL",
            help="The Prometheus that scrapes the proxies (default: this process does so itself).",
        ),
    ] = "",
    kubeconfig: flags.Kubeconfig = None,
    controller_namespace: flags.ControllerNamespace = "linkerd",
    identity_trust_domain: flags.TrustDomainName = "cluster.local",
    log_level: flags.LogLevel = "info",
    log_format: flags.LogFormat = "plain",
) -> None:
    """Watch the cluster, scrape its proxies, and answer what people ask."""
    flags.check_prometheus_url(prometheus_url)
    prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.run.kubernetes.public_api import PublicApiProcess

    process = PublicApiProcess(
        listen=flags.listen(addr, flag="--addr"),
        destination=destination_addr,
        identities=flags.identities(identity_trust_domain, namespace=controller_namespace),
        kubeconfig=kubeconfig,
        prometheus=prometheus_url,
    )
    run_until_told(
        process.compose, admin=flags.listen(metrics_addr, flag="--metrics-addr or --admin-addr")
    )


@app.command("injector", cls=Command)
def injector(
    addr: Annotated[str, flags.address("--addr", what="Where API servers ask, by TLS.")] = ":8443",
    metrics_addr: Annotated[str, flags.admin("--metrics-addr", "--admin-addr")] = ":9995",
    kubeconfig: flags.Kubeconfig = None,
    linkerd_namespace: flags.InjectorNamespace = "linkerd",
    config: flags.ConfigDir = flags.CONFIG,
    trust_roots: flags.TrustRoots = flags.TRUST_ROOTS,
    tls: flags.TlsDir = flags.TLS,
    log_level: flags.LogLevel = "info",
    log_format: flags.LogFormat = "plain",
) -> None:
    """Add proxies to pods that are about to be made, where annotations ask for it."""
    prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.injector.configured import ConfigFiles
    from linkerd2_py.controlplane.public_api.tls import TlsFiles
    from linkerd2_py.controlplane.run.kubernetes.injector import InjectorProcess

    process = InjectorProcess(
        listen=flags.listen(addr, flag="--addr"),
        tls=TlsFiles(tls / "tls.crt", tls / "tls.key"),
        config=ConfigFiles(config / "values", trust_roots / "ca-bundle.crt"),
        namespace=linkerd_namespace,
        kubeconfig=kubeconfig,
    )
    run_until_told(
        process.compose, admin=flags.listen(metrics_addr, flag="--metrics-addr or --admin-addr")
    )


@app.command("web", cls=Command)
def web(
    addr: Annotated[str, flags.address("--addr", what="Where browsers ask.")] = ":8084",
    metrics_addr: Annotated[str, flags.admin("--metrics-addr", "--admin-addr")] = ":9994",
    public_api_addr: Annotated[
        str, flags.address("--public-api-addr", what="Who answers what the page asks.")
    ] = _PUBLIC_API,
    enforced_host: flags.EnforcedHost = flags.DASHBOARD_HOSTS,
    grafana_external_addr: flags.GrafanaUrl = "",
    live_calls: flags.LiveCalls = "false",
    kubeconfig: flags.Kubeconfig = None,
    controller_namespace: flags.ControllerNamespace = "linkerd",
    log_level: flags.LogLevel = "info",
    log_format: flags.LogFormat = "plain",
) -> None:
    """Serve the dashboard: a page in a browser, and the answers that it is made of."""
    prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.run.kubernetes.web import WebProcess

    process = WebProcess(
        listen=flags.listen(addr, flag="--addr"),
        public_api=public_api_addr,
        hosts=flags.pattern(enforced_host, flag="--enforced-host"),
        grafana=flags.web_url(grafana_external_addr, flag="--grafana-external-addr"),
        namespace=controller_namespace,
        live_calls=flags.is_true(live_calls, flag="--live-calls"),
        kubeconfig=kubeconfig,
    )
    run_until_told(
        process.compose, admin=flags.listen(metrics_addr, flag="--metrics-addr or --admin-addr")
    )


@app.command("tap", cls=Command)
def tap(
    apiserver_addr: Annotated[
        str, flags.address("--apiserver-addr", what="Where API servers ask, by TLS.")
    ] = ":8089",
    metrics_addr: Annotated[str, flags.admin("--metrics-addr", "--admin-addr")] = ":9998",
    kubeconfig: flags.Kubeconfig = None,
    api_namespace: flags.TapNamespace = "linkerd",
    identity_trust_domain: flags.TrustDomainName = "cluster.local",
    tls: flags.TlsDir = flags.TLS,
    log_level: flags.LogLevel = "info",
    log_format: flags.LogFormat = "plain",
) -> None:
    """Tell what passes through proxies, to whom the cluster's rules let watch."""
    prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.public_api.tls import TlsFiles
    from linkerd2_py.controlplane.run.kubernetes.tap import TapProcess

    process = TapProcess(
        listen=flags.listen(apiserver_addr, flag="--apiserver-addr"),
        tls=TlsFiles(tls / "tls.crt", tls / "tls.key"),
        identities=flags.identities(identity_trust_domain, namespace=api_namespace),
        kubeconfig=kubeconfig,
    )
    run_until_told(
        process.compose, admin=flags.listen(metrics_addr, flag="--metrics-addr or --admin-addr")
    )
