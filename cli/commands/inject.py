"""`inject`: manifests with proxies, or with the annotation by which the injector adds them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkerd2_py.cli import inject_flags as flags
from linkerd2_py.cli import output
from linkerd2_py.cli.commands.uninject import FORMS
from linkerd2_py.cli.options import Globals, output_option

if TYPE_CHECKING:
    from linkerd2_py.cli.injecting import Injecting


def inject(
    where: Annotated[
        str, typer.Argument(metavar="FILE|FOLDER|URL|-", help="Where the manifests are.")
    ],
    given: Globals,
    manual: Annotated[
        bool,
        typer.Option(
            "--manual",
            help="Write the proxy itself into the manifests, for clusters without injector.",
        ),
    ] = False,
    ignore_cluster: Annotated[
        bool,
        typer.Option(
            "--ignore-cluster", help="Go by the defaults, not by how the cluster is configured."
        ),
    ] = False,
    identity_trust_anchors_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --manual: the trust anchors (default: the cluster's)."
        ),
    ] = None,
    enable_debug_sidecar: Annotated[
        bool, typer.Option("--enable-debug-sidecar", help="Add a container to look around with.")
    ] = False,
    close_wait_timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Set nf_conntrack_tcp_timeout_close_wait."),
    ] = None,
    form: Annotated[str, output_option(*FORMS)] = FORMS[0],
    registry: flags.Registry = None,
    proxy_image: flags.ProxyImage = None,
    proxy_version: flags.ProxyVersion = None,
    image_pull_policy: flags.PullPolicy = None,
    admin_port: flags.AdminPort = None,
    control_port: flags.ControlPort = None,
    inbound_port: flags.InboundPort = None,
    outbound_port: flags.OutboundPort = None,
    default_inbound_policy: flags.InboundPolicy = None,
    enable_external_profiles: flags.ExternalProfiles = False,
    native_sidecar: flags.NativeSidecar = None,
    ingress: flags.Ingress = False,
    opaque_ports: flags.OpaquePorts = None,
    proxy_cpu_limit: flags.CpuLimit = None,
    proxy_cpu_request: flags.CpuRequest = None,
    proxy_memory_limit: flags.MemoryLimit = None,
    proxy_memory_request: flags.MemoryRequest = None,
    proxy_gid: flags.ProxyGid = None,
    proxy_uid: flags.ProxyUid = None,
    proxy_log_level: flags.LogLevel = None,
    require_identity_on_inbound_ports: flags.RequireIdentity = None,
    skip_inbound_ports: flags.SkipInbound = None,
    skip_outbound_ports: flags.SkipOutbound = None,
    wait_before_exit_seconds: flags.WaitBeforeExit = None,
) -> None:
    """Add the proxy to the workloads of Kubernetes manifests.

    Prints all documents, and on stderr what became of each. Workloads get the annotation by which the
    cluster's injector adds the proxy to their pods; with --manual, the proxy itself:

      linkerd2-py inject app.yaml | kubectl apply -f -
      kubectl get deploy -o yaml | linkerd2-py inject - | kubectl apply -f -
    """
    used = flags.given(locals())
    as_json = output.one_of(form, allowed=FORMS) == "json"
    from linkerd2_py.cli.injecting import Wanted, injecting

    wanted = Wanted(
        manual=manual,
        ignore_cluster=ignore_cluster,
        anchors=identity_trust_anchors_file,
        debug=enable_debug_sidecar,
        close_wait=close_wait_timeout or "",
        registry=registry,
        ingress=ingress,
        flags=used,
    )
    _print(where, injecting(wanted, given), as_json=as_json, verbose=given.verbose)


def _print(where: str, injecting: Injecting, *, as_json: bool, verbose: bool) -> None:
    """Everything is known to be sound before anything is printed."""
    from linkerd2_py.cli.manifests.read import read_manifests
    from linkerd2_py.cli.manifests.rewrite import rewrite
    from linkerd2_py.cli.render import injection

    results = [rewrite(one, injecting, as_json=as_json) for one in read_manifests(where)]
    reports: list[Any] = [report for result in results for report in result.reports]
    for result in results:
        output.write(result.text)
    sys.stdout.flush()
    for problem in dict.fromkeys(injecting.problems):
        output.note(f"‼ {problem}")
    sys.stderr.write(injection.injected(reports, verbose=verbose))
