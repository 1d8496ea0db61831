"""Measures scenarios: each between two calibrations, its subjects in turn, pass by pass."""

import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.children import Children
from bench.errors import BenchError
from bench.machine import Machine, Placement
from bench.programs import socket_floor_ns
from bench.progress import Progress
from bench.results import Outcome, Row, Run, Sample
from bench.scenarios.scenario import Effort, Rig, Scenario, Stand
from bench.subjects.subject import Subject


@dataclass(slots=True)
class Runner:
    """Measures one scenario after the other. `folder` gets logs and configurations."""

    subjects: Mapping[str, Subject]
    placement: Placement
    effort: Effort
    folder: Path
    progress: Progress
    _calibration: float | None = field(default=None, init=False)

    def run(self, scenarios: Sequence[Scenario], *, machine: Machine) -> Run:
        """All of them. A scenario that fails is noted and the next one is measured."""
        settle_on(self.placement.traffic)
        date = datetime.now(UTC).isoformat(timespec="seconds")
        self._calibration = self._calibrate()
        return Run(machine, date, tuple(self._measure(scenario) for scenario in scenarios))

    def _measure(self, scenario: Scenario) -> Outcome:
        outcome = Outcome(
            scenario=scenario.name,
            description=scenario.description,
            unit=scenario.unit,
            cost=scenario.cost,
            columns=scenario.columns,
            ours=scenario.subjects[0],
        )
        before = self._calibration
        try:
            outcome = self._collect(scenario, outcome)
        except BenchError as error:
            outcome = replace(outcome, failure=str(error))
        # What follows one scenario also precedes the next.
        self._calibration = self._calibrate()
        return replace(outcome, calibration=(before, self._calibration))

    def _collect(self, scenario: Scenario, outcome: Outcome) -> Outcome:
        absent: dict[str, str] = {}
        chosen: list[Subject] = []
        for name in with_given(scenario.subjects):
            subject = self.subjects.get(name)
            if subject is None:
                continue
            if (why := subject.missing()) is not None:
                absent[name] = why
            else:
                chosen.append(subject)
        folder = self.folder / scenario.name
        folder.mkdir(parents=True)
        with Children(folder) as children:
            rig = Rig(children, self.placement, self.effort)
            self.progress.show(f"{scenario.name}: starting {len(chosen)} subjects")
            with scenario.open(rig, tuple(chosen)) as stand:
                absent |= stand.absent
                failed = dict(stand.failed)
                present = [each for each in chosen if each.name not in absent | failed]
                samples = self._passes(scenario, stand, present, failed=failed)
        rows = tuple(
            Row(scenario.name, subject.name, subject.family, subject.version(), found)
            for subject in present
            if (found := tuple(samples[subject.name]))
        )
        return replace(outcome, rows=rows, absent=absent, failed=failed)

    def _passes(
        self,
        scenario: Scenario,
        stand: Stand,
        present: Sequence[Subject],
        *,
        failed: dict[str, str],
    ) -> Mapping[str, list[Sample]]:
        passes = min(self.effort.passes, scenario.most_passes or self.effort.passes)
        samples: dict[str, list[Sample]] = {subject.name: [] for subject in present}
        for number in range(passes):
            for subject in present:
                if subject.name in failed:
                    continue
                self.progress.show(f"{scenario.name}: pass {number + 1}/{passes}: {subject.name}")
                try:
                    samples[subject.name].append(stand.sample(subject))
                except BenchError as error:
                    failed[subject.name] = str(error)
        return samples

    def _calibrate(self) -> float | None:
        self.progress.show("calibrating")
        folder = self.folder / "calibration"
        folder.mkdir(exist_ok=True)
        try:
            with Children(folder) as children:
                return socket_floor_ns(
                    children, seconds=self.effort.calibration_s, core=self.placement.subject
                )
        except BenchError as error:
            self.progress.note(str(error))
            return None


def with_given(names: Sequence[str]) -> Sequence[str]:
    """A linkerd2-proxy that was given stands beside ours wherever other people's proxies do."""
    return [*names, "linkerd2-proxy"] if names[0] == "ours" and "envoy" in names else names


def settle_on(core: int) -> None:
    """This process stays off the subject's processor, and children may open as many files as the system
    allows.
    """
    os.sched_setaffinity(0, {core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
