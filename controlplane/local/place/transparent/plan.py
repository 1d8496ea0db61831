"""What a replica in a namespace of its own gets: the ports of its program as they are, and a proxy it
knows nothing of."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from linkerd2_py.base.tap import TAP_PORT
from linkerd2_py.controlplane.local.place.placement import LAUNCH, Placement
from linkerd2_py.controlplane.local.place.plan import (
    ADMIN_PORT,
    INBOUND_PORT,
    OUTBOUND_PORT,
    InitStep,
    PodPlan,
    policy_settings,
)
from linkerd2_py.controlplane.local.place.transparent.subnet import Subnet
from linkerd2_py.controlplane.sources.local.mesh_spec import WorkloadSpec

PROXY_UID: Final = 2102  # Linkerd's
NOBODY: Final = 65534
_SKIPPED: Final = (TAP_PORT, ADMIN_PORT)
"""Never redirected: whoever asks there wants the proxy itself."""
_CHECKED_PORT: Final = 1404
_ALL_FAMILIES: Final = "[::]"


def plan_in_namespace(
    spec: WorkloadSpec, *, name: str, netns: str, ips: tuple[str, str], subnet: Subnet, etc: Path
) -> PodPlan:
    """The plan of a replica whose namespace is there already. It finds services by name, as in a cluster."""
    ports = {target: target for target in spec.target_ports}
    inside = Placement(netns=netns, etc=etc)
    return PodPlan(
        spec=spec,
        name=name,
        ip=ips[0],
        ip6=ips[1],
        listen_host="0.0.0.0",
        serve=ports,
        ports=ports,
        calls={out.variable: f"{out.service}:{out.port}" for out in spec.outbound},
        settings=_settings(spec, ips=ips, subnet=subnet) if spec.meshed else {},
        admin_port=ADMIN_PORT if spec.meshed else 0,
        inbound_port=INBOUND_PORT if spec.meshed else 0,
        tap_port=TAP_PORT if spec.meshed else 0,
        skipped_ports=frozenset(_SKIPPED) if spec.meshed else frozenset(),
        inits=_inits(netns, subnet=subnet) if spec.meshed else (),
        proxy_placement=inside,
        app_placement=Placement(netns=netns, etc=etc, uid=caller()),
    )


def _settings(spec: WorkloadSpec, *, ips: tuple[str, str], subnet: Subnet) -> dict[str, str]:
    opaque = [port for port, is_opaque in spec.target_ports.items() if is_opaque]
    networks = f"{subnet.v4},{subnet.v6}"
    return {
        "OUTBOUND_LISTEN_ADDRS": f"127.0.0.1:{OUTBOUND_PORT},[::1]:{OUTBOUND_PORT}",
        "INBOUND_LISTEN_ADDR": f"{_ALL_FAMILIES}:{INBOUND_PORT}",
        "CONTROL_LISTEN_ADDR": f"0.0.0.0:{TAP_PORT}",
        # The supervisor reads metrics from outside, and proves nothing.
        "ADMIN_LISTEN_ADDR": f"0.0.0.0:{ADMIN_PORT}",
        "ADMIN_SHOWS_METRICS": "true",
        "INBOUND_IPS": ",".join(ips),
        "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION": ",".join(map(str, opaque)),
        "DESTINATION_PROFILE_NETWORKS": networks,
        **policy_settings(spec, guarded=spec.require_identity_ports, networks=networks),
    }


def _inits(netns: str, *, subnet: Subnet) -> tuple[InitStep, ...]:
    """The rules, and a look whether they work, by a user whose traffic is redirected."""
    # A program of ours, as the proxy is; this folder is as far as it has to reach.
    watcher = Placement(netns=netns, uid=NOBODY, reach=Path(LAUNCH).parent)
    nobody6 = f"[{subnet.v6[-1]}]:{_CHECKED_PORT}"
    return (
        InitStep(
            "proxy-init",
            (
                *(sys.executable, "-m", "linkerd2_py.proxy.pod.init"),
                *("--incoming-proxy-port", str(INBOUND_PORT)),
                *("--outgoing-proxy-port", str(OUTBOUND_PORT)),
                *("--proxy-uid", str(PROXY_UID)),
                *("--inbound-ports-to-ignore", ",".join(map(str, _SKIPPED))),
                "--use-wait-flag",
            ),
            Placement(netns=netns),
        ),
        InitStep("network-validator", _validator("0.0.0.0", "192.0.2.2:1404"), watcher),
        InitStep("network-validator-ipv6", _validator(_ALL_FAMILIES, nobody6), watcher),
    )


def _validator(host: str, connect: str) -> tuple[str, ...]:
    listen = f"{host}:{OUTBOUND_PORT}"
    words = ("--listen-addr", listen, "--connect-addr", connect, "--timeout", "10s")
    return (sys.executable, "-m", "linkerd2_py.proxy.pod.validator", *words)


def caller() -> int | None:
    """Who asked `sudo` for this mesh: programs of a mesh.yaml run as that user; None: as root, who
    started it.
    """
    uid = os.environ.get("SUDO_UID", "")
    return int(uid) if uid.isdecimal() and int(uid) > 0 and os.geteuid() == 0 else None
