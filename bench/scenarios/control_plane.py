"""The control plane with 1,000 workloads and services and 10,000 pods: what questions and changes cost it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.native import ROOT
from bench.results import Sample
from bench.scenarios.scenario import Rig, Scenario, Stand
from bench.subjects.subject import Subject

_DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True)
class ControlPlane(Scenario):
    """Each sample is one run of `bench.control_plane`, a process of its own."""

    name: str = "control-plane"
    description: str = (
        "1,000 services, 10,000 pods: CPU of every Get, of 1,000 GetProfile, a rollout of 1,000 pods, "
        "the join of stat; one change for 5,000 streams, there and over gRPC, and for 50,000 over ten "
        "proxy-apis; the lists of a cluster of that size"
    )
    subjects: tuple[str, ...] = ("ours",)
    unit: str = "run"
    cost: str = "update_us"
    columns: tuple[str, ...] = (
        "get_cpu_ms",
        "profile_cpu_ms",
        "rollout_cpu_ms",
        "stat_cpu_ms",
        "stall_ms",
        "open_us",
        "update_us",
        "stream_bytes",
        "grpc_open_us",
        "grpc_update_us",
        "grpc_reached_ms",
        "grpc_alone_update_us",
        "grpc_kib_per_connection",
        "relayed_few_destination_ms",
        "relayed_destination_ms",
        "relayed_update_us",
        "synced_s",
        "synced_rss_mib",
    )
    most_passes: int | None = 5

    @contextmanager
    def open(self, rig: Rig, subjects: tuple[Subject, ...]) -> Iterator["ControlPlaneStand"]:
        """Nothing needs to be up."""
        yield ControlPlaneStand(rig)


class ControlPlaneStand(Stand):
    """A processor to run on."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.absent: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def sample(self, subject: Subject) -> Sample:
        """All cases once."""
        size = ["--tiny"] if self.rig.effort.smoke else []
        argv = [sys.executable, "-m", "bench.control_plane", *size]
        core, env = self.rig.placement.subject, {"PYTHONPATH": str(ROOT)}
        child = self.rig.children.start("control-plane", argv, core=core, env=env)
        try:
            return Sample(json.loads(child.next_line(deadline_s=_DEADLINE_S)))
        finally:
            self.rig.children.end(child)


SCENARIOS: tuple[Scenario, ...] = (ControlPlane(),)
