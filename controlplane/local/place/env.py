"""What the programs of a replica are started with: their words and their environment."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import linkerd2_py
from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.local.place.plan import PodPlan
from linkerd2_py.controlplane.sources.local.mesh_spec import WorkloadSpec

DRAIN_S: Final = 5
"""How long a proxy that is told to stop waits for what is in flight."""

# Makes the proxy's key, and becomes the proxy.
PROXY_ARGV: Final = (sys.executable, "-m", "linkerd2_py.proxy.pod.identity")
# What a person may set for every proxy of a mesh; anything else with the prefix is ours to decide.
PASSED_ON: Final = frozenset(
    PROXY_ENV_PREFIX + name
    for name in (
        "LOG",
        "LOG_FORMAT",
        "ACCESS_LOG",
        "TRACE_COLLECTOR_SVC_ADDR",
        "TRACE_SERVICE_NAME",
    )
)
# A workload that obeyed these would send its calls past its proxy.
_DROPPED: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})


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
    own = json.dumps({"ns": plan.spec.namespace, "pod": plan.name})
    # A zone of this mesh is as good as a machine in it.
    place = {"nodeName": plan.zone} if plan.zone else {}
    context = json.dumps({"ns": plan.spec.namespace, **place, "pod": plan.name})
    settings = {
        **plan.settings,
        "DESTINATION_SVC_ADDR": proxy_api,
        # Who answers on loopback proves nothing to anybody.
        "DESTINATION_SVC_NAME": TrustDomain().control_plane,
        "DESTINATION_CONTEXT": context,
        "POLICY_SVC_ADDR": proxy_api,
        "POLICY_SVC_NAME": TrustDomain().control_plane,
        "POLICY_WORKLOAD": own,
        # A local mesh has few names, and `stat au` is answered from what inbound proxies saw.
        "INBOUND_METRICS_AUTHORITY_LABELS": "unsafe",
        "OUTBOUND_TELL_NAMES": "true",
        "SHUTDOWN_GRACE_PERIOD": f"{DRAIN_S}s",
    }
    named = {PROXY_ENV_PREFIX + name: value for name, value in settings.items() if value}
    passed = {name: os.environ[name] for name in PASSED_ON & os.environ.keys()}
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
