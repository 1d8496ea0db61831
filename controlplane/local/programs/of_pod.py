"""The programs of a replica, as its plan says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.local.place.env import (
    PROXY_ARGV,
    proxy_env,
    workload_argv,
    workload_env,
)
from linkerd2_py.controlplane.local.place.identity import PodIdentities
from linkerd2_py.controlplane.local.place.plan import InitStep, PodPlan
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.programs.process import Program
from linkerd2_py.controlplane.local.state.state_dir import StateDir

APP_GRACE_S: Final = 5.0
"""Between being asked to end and being ended."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every pod of a mesh shares."""

    guard: Guard
    clock: Clock
    state_dir: StateDir
    identities: PodIdentities
    proxy_api: str
    env: dict[str, str]
    cwd: Path
    proxy_uid: int | None = None


def proxy_program(plan: PodPlan, *, around: Surroundings) -> Program:
    """The sidecar of a plan."""
    return Program(
        argv=PROXY_ARGV,
        env=proxy_env(plan, base=around.env, proxy_api=around.proxy_api),
        cwd=around.state_dir.root,
        log=around.state_dir.log_of(f"{plan.name}-proxy"),
        placement=replace(plan.proxy_placement, uid=around.proxy_uid),
    )


def app_program(plan: PodPlan, *, around: Surroundings) -> Program:
    """The workload's own."""
    return Program(
        argv=workload_argv(plan.spec),
        env=workload_env(plan, base=around.env),
        cwd=around.cwd,
        log=around.state_dir.log_of(plan.name),
        placement=plan.app_placement,
    )


def init_program(step: InitStep, plan: PodPlan, *, around: Surroundings) -> Program:
    """What ends before those two start."""
    return Program(
        argv=step.argv,
        env=around.env,
        cwd=around.state_dir.root,
        log=around.state_dir.log_of(f"{plan.name}-{step.name}"),
        placement=step.placement,
    )
