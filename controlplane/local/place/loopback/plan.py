"""What a replica at a loopback address gets: ports of its own for all it serves and all it calls, as
nothing is redirected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from linkerd2_py.base.tap import TAP_PORT
from linkerd2_py.controlplane.local.place.loopback.addresses import PortPicker
from linkerd2_py.controlplane.local.place.plan import (
    ADMIN_PORT,
    INBOUND_PORT,
    OUTBOUND_PORT,
    DoorFinder,
    PodPlan,
    StaticPort,
    policy_settings,
)
from linkerd2_py.controlplane.sources.local.mesh_spec import WorkloadSpec

NETWORK: Final = "127.0.0.0/8"
# Below the ports that outgoing connections usually get.
STATIC_FIRST_PORT: Final = 31001
APP_FIRST_PORT: Final = 30001


def plan_pod(spec: WorkloadSpec, *, name: str, ip: str, door: DoorFinder) -> PodPlan:
    """Choose the ports of a replica at `ip`. `door` is where an unmeshed program finds a service.

    AddressError if ports run out.
    """
    pick = PortPicker(ip).pick
    ports = {target: pick(target) for target in spec.target_ports}
    if not spec.meshed:
        calls = {out.variable: door(out) for out in spec.outbound}
        return PodPlan(spec=spec, name=name, ip=ip, serve=ports, ports=ports, calls=calls)
    serve = {target: pick(APP_FIRST_PORT + i) for i, target in enumerate(spec.target_ports)}
    listen = [f"{ip}:{pick(STATIC_FIRST_PORT + i)}" for i in range(len(spec.outbound))]
    pairs = list(zip(listen, spec.outbound, strict=True))
    statics = [StaticPort(address, out.authority) for address, out in pairs]
    inbound = [
        f"{ip}:{ports[target]}={ip}:{serve[target]}{'/opaque' if opaque else ''}"
        for target, opaque in spec.target_ports.items()
    ]
    admin_port, inbound_port, tap_port = pick(ADMIN_PORT), pick(INBOUND_PORT), pick(TAP_PORT)
    settings = static_settings(
        ip,
        pick=pick,
        admin_port=admin_port,
        inbound_port=inbound_port,
        statics=statics,
        inbound=inbound,
    )
    plan = PodPlan(
        spec=spec,
        name=name,
        ip=ip,
        serve=serve,
        ports=ports,
        calls={out.variable: address for address, out in pairs},
        admin_port=admin_port,
        inbound_port=inbound_port,
        tap_port=tap_port,
    )
    guarded = plan.numbers(spec.require_identity_ports)
    policy = policy_settings(spec, guarded=guarded, networks=NETWORK)
    tap = {"CONTROL_LISTEN_ADDR": f"{ip}:{tap_port}"}
    return replace(plan, settings=settings | policy | tap)


def static_settings(
    ip: str,
    *,
    pick: Callable[[int], int],
    admin_port: int,
    inbound_port: int,
    statics: Iterable[StaticPort],
    inbound: Iterable[str] = (),
) -> dict[str, str]:
    """The settings of a proxy at a loopback address: a port for each target, as nothing is redirected."""
    return {
        "OUTBOUND_LISTEN_ADDR": f"{ip}:{pick(OUTBOUND_PORT)}",
        "INBOUND_LISTEN_ADDR": f"{ip}:{inbound_port}",
        "ADMIN_LISTEN_ADDR": f"{ip}:{admin_port}",
        "OUTBOUND_STATIC_PORTS": ",".join(f"{one.listen}={one.authority}" for one in statics),
        "INBOUND_STATIC_PORTS": ",".join(inbound),
        "INBOUND_IPS": ip,
        # Here all come from 127.0.0.1, and whoever asks how a proxy is proves nothing.
        "INBOUND_JUDGES_LOCALHOST": "true",
        "ADMIN_SHOWS_METRICS": "true",
    }
