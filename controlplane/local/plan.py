"""What one replica gets before it starts: address, ports, and the environment of its programs.

Pure but for the port picking: a plan says everything, `pod` carries it out.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import linkerd2_py
from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.controlplane.local.addresses import PortPicker
from linkerd2_py.controlplane.registry.mesh_spec import OutboundSpec, WorkloadSpec

INBOUND_PORT: Final = 4143
OUTBOUND_PORT: Final = 4140
ADMIN_PORT: Final = 4191
# Below the ports that outgoing connections usually get.
STATIC_FIRST_PORT: Final = 31001
APP_FIRST_PORT: Final = 30001
DRAIN_S: Final = 5
"""How long a proxy that is told to stop waits for what is in flight."""

PROXY_ARGV: Final = (sys.executable, "-m", "linkerd2_py.proxy")
# What a person may set for every proxy of a mesh; anything else with the prefix is ours to decide.
_PASSED_ON: Final = frozenset({f"{PROXY_ENV_PREFIX}LOG", f"{PROXY_ENV_PREFIX}LOG_FORMAT"})
# A workload that obeyed these would send its calls past its proxy.
_DROPPED: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})

Door = Callable[[OutboundSpec], str]


@dataclass(frozen=True, slots=True)
class StaticPort:
    """A listener of the proxy that leads to one logical target."""

    listen: str
    authority: str


@dataclass(frozen=True, slots=True)
class PodPlan:
    """One replica: `serve` maps target ports to where the program listens, `ports` to where
    peers connect (the same where there is no proxy)."""

    spec: WorkloadSpec
    name: str
    ip: str
    serve: Mapping[int, int]
    ports: Mapping[int, int]
    statics: tuple[StaticPort, ...]
    calls: Mapping[str, str]
    inbound_port: int = 0
    outbound_port: int = 0
    admin_port: int = 0

    @property
    def admin_addr(self) -> str | None:
        return f"{self.ip}:{self.admin_port}" if self.spec.meshed else None

    @property
    def probe_port(self) -> int | None:
        """Where the program's own readiness is asked for; None if it serves nothing."""
        wanted = self.spec.ready.port if self.spec.ready else next(iter(self.serve), None)
        return None if wanted is None else self.serve.get(wanted, wanted)


def plan_pod(spec: WorkloadSpec, *, name: str, ip: str, door: Door) -> PodPlan:
    """Choose the ports of a replica at `ip`. `door` is where an unmeshed program finds a service.

    AddressError if ports run out.
    """
    pick = PortPicker(ip).pick
    ports = {target: pick(target) for target in spec.target_ports}
    if not spec.meshed:
        calls = {out.variable: door(out) for out in spec.outbound}
        return PodPlan(
            spec=spec, name=name, ip=ip, serve=ports, ports=ports, statics=(), calls=calls
        )
    serve = {target: pick(APP_FIRST_PORT + i) for i, target in enumerate(spec.target_ports)}
    listen = [f"{ip}:{pick(STATIC_FIRST_PORT + i)}" for i in range(len(spec.outbound))]
    pairs = list(zip(listen, spec.outbound, strict=True))
    return PodPlan(
        spec=spec,
        name=name,
        ip=ip,
        serve=serve,
        ports=ports,
        statics=tuple(StaticPort(address, out.authority) for address, out in pairs),
        calls={out.variable: address for address, out in pairs},
        inbound_port=pick(INBOUND_PORT),
        outbound_port=pick(OUTBOUND_PORT),
        admin_port=pick(ADMIN_PORT),
    )


def workload_argv(spec: WorkloadSpec) -> tuple[str, ...]:
    """The command, with a leading `python` meaning the interpreter that runs us."""
    if spec.command[0] == "python":
        return (sys.executable, *spec.command[1:])
    return spec.command


def workload_env(plan: PodPlan, *, base: Mapping[str, str]) -> dict[str, str]:
    """The program's environment; what mesh.yaml says wins over what we would set."""
    env = {
        **base,
        "HOST": plan.ip,
        "POD_NAME": plan.name,
        "POD_NAMESPACE": plan.spec.namespace,
        **{f"PORT_{target}": str(port) for target, port in plan.serve.items()},
        **plan.calls,
    }
    first = next(iter(plan.serve.values()), None)
    if first is not None:
        env["PORT"] = str(first)
    return env | dict(plan.spec.env)


def proxy_env(plan: PodPlan, *, base: Mapping[str, str], proxy_api: str) -> dict[str, str]:
    """The proxy's environment, its only configuration."""
    settings = {
        "OUTBOUND_LISTEN_ADDR": f"{plan.ip}:{plan.outbound_port}",
        "INBOUND_LISTEN_ADDR": f"{plan.ip}:{plan.inbound_port}",
        "ADMIN_LISTEN_ADDR": f"{plan.ip}:{plan.admin_port}",
        "OUTBOUND_STATIC_PORTS": outbound_statics(plan.statics),
        "INBOUND_STATIC_PORTS": ",".join(_inbound_static(plan, target) for target in plan.ports),
        "DESTINATION_SVC_ADDR": proxy_api,
        "DESTINATION_CONTEXT": json.dumps({"ns": plan.spec.namespace, "pod": plan.name}),
        "IDENTITY_DISABLED": "1",
        "INBOUND_IPS": plan.ip,
        # A local mesh has few names, and `stat au` is answered from what inbound proxies saw.
        "INBOUND_METRICS_AUTHORITY_LABELS": "unsafe",
        "SHUTDOWN_GRACE_PERIOD": f"{DRAIN_S}s",
    }
    named = {PROXY_ENV_PREFIX + name: value for name, value in settings.items() if value}
    passed = {name: os.environ[name] for name in _PASSED_ON & os.environ.keys()}
    # A crash leaves the Python stack in the proxy's log.
    return {**base, "PYTHONFAULTHANDLER": "1", **passed, **named}


def outbound_statics(statics: tuple[StaticPort, ...]) -> str:
    """The value of OUTBOUND_STATIC_PORTS."""
    return ",".join(f"{static.listen}={static.authority}" for static in statics)


def base_env() -> dict[str, str]:
    """What every child inherits: ours, without what would steer it past the mesh."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PROXY_ENV_PREFIX) and name.lower() not in _DROPPED
    }
    # Children run elsewhere: a relative search path must not change its meaning.
    entries = [
        str(Path(entry).absolute()) for entry in env.get("PYTHONPATH", "").split(":") if entry
    ]
    home = str(Path(linkerd2_py.__file__).parent.parent)
    if entries and home not in entries:
        entries.append(home)
    if entries:
        env["PYTHONPATH"] = ":".join(entries)
    return env | {"PYTHONUNBUFFERED": "1"}


def _inbound_static(plan: PodPlan, target: int) -> str:
    opaque = "/opaque" if plan.spec.target_ports[target] else ""
    return f"{plan.ip}:{plan.ports[target]}={plan.ip}:{plan.serve[target]}{opaque}"
