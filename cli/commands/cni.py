"""`cni`: the process of the DaemonSet that sets up pods of its node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from linkerd2_py.cli import controller_flags as flags
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.options import Globals
from linkerd2_py.cli.processes import prepare, run_until_told

_NODE: Final = "LINKERD_CNI_REPAIR_CONTROLLER_NODE_NAME"
_POD: Final = "LINKERD_CNI_REPAIR_CONTROLLER_POD_NAME"


def _path(name: str, what: str) -> Any:
    return typer.Option(name, metavar="PATH", help=what)


def cni(
    bin_dir: Annotated[Path, _path("--bin-dir", "The node's folder of CNI plugins.")] = Path(
        "/host/opt/cni/bin"
    ),
    net_dir: Annotated[Path, _path("--net-dir", "The node's lists of CNI plugins.")] = Path(
        "/host/etc/cni/net.d"
    ),
    launcher: Annotated[Path, _path("--launcher", "The plugin that is copied there.")] = Path(
        "/opt/cni/bin/linkerd-cni"
    ),
    network_config: Annotated[
        Path, _path("--network-config", "The file with our entry for those lists.")
    ] = Path("/etc/linkerd-cni/cni_network_config"),
    socket: Annotated[Path, _path("--socket", "Where the plugin asks.")] = Path(
        "/run/linkerd-cni/agent.sock"
    ),
    daemon_set: Annotated[
        str, typer.Option("--daemonset", metavar="NAME", help="What it is called.")
    ] = "linkerd-cni",
    repair: Annotated[
        bool, typer.Option("--repair", help="Delete pods that have started without their rules.")
    ] = False,
    node_name: Annotated[
        str, typer.Option("--node-name", metavar="NAME", help=f"Of this node (default: ${_NODE}).")
    ] = "",
    admin_addr: Annotated[str, flags.admin("--admin-addr", "--metrics-addr")] = ":9990",
    log_level: flags.LogLevel = "info",
    log_format: flags.LogFormat = "plain",
    *,
    given: Globals,
) -> None:
    """Set up this node: its pods get their rules by a CNI plugin, and need no init container."""
    prepare(log_level, log_format=log_format)
    from linkerd2_py.controlplane.cni.host import Host
    from linkerd2_py.controlplane.run.kubernetes.cni import CniProcess

    node = node_name or os.environ.get(_NODE, "")
    if repair and not node:
        raise bad_usage(f"--repair needs to know whose pods: give --node-name, or set {_NODE}")
    for folder in (bin_dir, net_dir, launcher, network_config):
        if not folder.exists():
            raise bad_usage(f"{folder}: there is none; see -h for what is needed of the node")
    process = CniProcess(
        host=Host(programs=bin_dir, lists=net_dir, launcher=launcher),
        entry=network_config,
        socket=socket,
        namespace=given.namespace or "linkerd-cni",
        daemon_set=daemon_set,
        pod=os.environ.get(_POD, os.uname().nodename),
        node=node if repair else "",
        kubeconfig=Path(given.kubeconfig) if given.kubeconfig else None,
    )
    run_until_told(process.compose, admin=flags.listen(admin_addr, flag="--admin-addr"))
