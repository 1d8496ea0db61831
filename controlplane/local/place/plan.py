"""What one replica gets before it starts: address, ports, and the environment of its programs.

Pure but for the port picking: a plan says everything, `pod` carries it out.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import linkerd2_py
from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.controlplane.local.place.addresses import PortPicker
from linkerd2_py.controlplane.local.supervise.pod_identity import PodIdentity
from linkerd2_py.controlplane.local.supervise.process import AS_WE_DO, Placement
from linkerd2_py.controlplane.sources.local.mesh_spec import OutboundSpec, WorkloadSpec

INBOUND_PORT: Final = 4143
OUTBOUND_PORT: Final = 4140
ADMIN_PORT: Final = 4191
_LOOPBACK: Final = "127.0.0.0/8"
# Below the ports that outgoing connections usually get.
STATIC_FIRST_PORT: Final = 31001
APP_FIRST_PORT: Final = 30001
DRAIN_S: Final = 5
"""How long a proxy that is told to stop waits for what is in flight."""

# Makes the proxy's key, and becomes the proxy.
PROXY_ARGV: Final = (sys.executable, "-m", "linkerd2_py.proxy.pod.identity")
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
class InitStep:
    """A program that must end well before the proxy and the workload start."""

    name: str
    argv: tuple[str, ...]
    placement: Placement = AS_WE_DO


@dataclass(frozen=True, slots=True)
class PodPlan:
    """One replica: `serve` maps target ports to where the program listens, `ports` to where
    peers connect (the same where there is no proxy, or one that peers do not see). `settings` are
    the proxy's own, by their names without the prefix; none where there is no proxy. The
    placements say where and as whom proxy and program run. `skipped_ports` are those of an
    intercepted pod that its proxy does not get. `inbound_port` is where its proxy's own inbound listener
    is reached; 0 where there is no proxy. `identity` is the name that its proxy proves.
    """

    spec: WorkloadSpec
    name: str
    ip: str
    serve: Mapping[int, int]
    ports: Mapping[int, int]
    calls: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    admin_port: int = 0
    inbound_port: int = 0
    identity: str = ""
    ip6: str = ""
    listen_host: str = ""
    skipped_ports: frozenset[int] = frozenset()
    inits: tuple[InitStep, ...] = ()
    proxy_placement: Placement = AS_WE_DO
    app_placement: Placement = AS_WE_DO

    def secured(self, identity: PodIdentity) -> PodPlan:
        """The same replica, whose proxy is told who it is and how to prove it."""
        return replace(
            self,
            identity=identity.name,
            settings={**self.settings, **identity.settings},
            proxy_placement=replace(self.proxy_placement, reach=identity.folder),
        )

    @property
    def intercepted(self) -> bool:
        """Whether all its traffic passes its proxy by itself."""
        return self.spec.meshed and bool(self.netns)

    @property
    def netns(self) -> str:
        """The network namespace it has to itself; empty on loopback addresses."""
        return self.app_placement.netns

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
        return PodPlan(spec=spec, name=name, ip=ip, serve=ports, ports=ports, calls=calls)
    serve = {target: pick(APP_FIRST_PORT + i) for i, target in enumerate(spec.target_ports)}
    listen = [f"{ip}:{pick(STATIC_FIRST_PORT + i)}" for i in range(len(spec.outbound))]
    pairs = list(zip(listen, spec.outbound, strict=True))
    statics = [StaticPort(address, out.authority) for address, out in pairs]
    inbound = [
        f"{ip}:{ports[target]}={ip}:{serve[target]}{'/opaque' if opaque else ''}"
        for target, opaque in spec.target_ports.items()
    ]
    admin_port, inbound_port = pick(ADMIN_PORT), pick(INBOUND_PORT)
    settings = static_settings(
        ip,
        pick=pick,
        admin_port=admin_port,
        inbound_port=inbound_port,
        statics=statics,
        inbound=inbound,
    )
    # A port has two numbers here, the proxy's and the program's, and no second meaning: both are named.
    guarded = [
        number for port in spec.require_identity_ports for number in (ports[port], serve[port])
    ]
    return PodPlan(
        spec=spec,
        name=name,
        ip=ip,
        serve=serve,
        ports=ports,
        calls={out.variable: address for address, out in pairs},
        settings=settings | policy_settings(spec, guarded=guarded, networks=_LOOPBACK),
        admin_port=admin_port,
        inbound_port=inbound_port,
    )


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
    }


def policy_settings(spec: WorkloadSpec, *, guarded: Iterable[int], networks: str) -> dict[str, str]:
    """Whom a workload's proxy lets in. `guarded`: its ports that require an identity; `networks`: where the mesh is."""
    return {
        "POLICY_CLUSTER_NETWORKS": networks,
        "INBOUND_DEFAULT_POLICY": spec.default_inbound_policy,
        "INBOUND_PORTS_REQUIRE_IDENTITY": ",".join(map(str, guarded)),
    }


def workload_argv(spec: WorkloadSpec) -> tuple[str, ...]:
    """The command, with a leading `python` meaning the interpreter that runs us."""
    if spec.command[0] == "python":
        return (sys.executable, *spec.command[1:])
    return spec.command


def workload_env(plan: PodPlan, *, base: Mapping[str, str]) -> dict[str, str]:
    """The program's environment; what mesh.yaml says wins over what we would set."""
    env = {
        **base,
        **_user(plan.app_placement.uid),
        "HOST": plan.listen_host or plan.ip,
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
        **plan.settings,
        "DESTINATION_SVC_ADDR": proxy_api,
        "DESTINATION_CONTEXT": json.dumps({"ns": plan.spec.namespace, "pod": plan.name}),
        # A local mesh has few names, and `stat au` is answered from what inbound proxies saw.
        "INBOUND_METRICS_AUTHORITY_LABELS": "unsafe",
        "SHUTDOWN_GRACE_PERIOD": f"{DRAIN_S}s",
    }
    named = {PROXY_ENV_PREFIX + name: value for name, value in settings.items() if value}
    passed = {name: os.environ[name] for name in _PASSED_ON & os.environ.keys()}
    # A crash leaves the Python stack in the proxy's log.
    return {**base, "PYTHONFAULTHANDLER": "1", **passed, **named}


def _user(uid: int | None) -> dict[str, str]:
    """What a user's own environment says; nothing for one without an account."""
    try:
        entry = pwd.getpwuid(-1 if uid is None else uid)
    except (KeyError, OverflowError):
        return {}
    return {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}


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
