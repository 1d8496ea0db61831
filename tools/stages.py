"""The stages of a test run: each is one pytest over some folders, with one flavour of the engine.

A stage runs openly, for its dots and failures are the point; the first that fails ends the run. Each
leaves a report in build/reports.

A few tests that fail are run once more, one at a time, when the rest is over: of twenty thousand tests
with real sockets and clocks one may fail on a machine that was busy. The summary names each that passed
only then, for that is a fault to be mended, too. A crash of the interpreter is never tried again.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools import summarize_tests
from tools.progress import fail

REPORTS = Path("build/reports")
# More failures than this have another cause than a busy machine.
TRIED_AGAIN = 5
# As pytest ends then. It is not there where a mesh is only started.
TESTS_FAILED = 1
QUICK = ("tests/unit", "tests/contract", "tests/fuzz")
# Of these, what can tell one flavour of the engine from another: nothing else loads it, or starts what does.
SEES_ENGINE = (
    *("tests/unit/_ext", "tests/unit/proxy", "tests/contract", "tests/fuzz"),
    *("tests/unit/controlplane/proxy_api", "tests/unit/controlplane/streams"),
    *("tests/unit/controlplane/identity", "tests/unit/controlplane/tap", "tests/unit/base/grpc"),
)
INTEGRATION = ("tests/integration",)
# A cluster as it was recorded, on a real API server: its programs are built beside the first stages.
RECORDED_CLUSTER = ("tests/contract/destination", "tests/contract/policy")
# The harness and its C programs; the packages' own tests are `release_only`.
SEES_NO_ENGINE = ("tests/integration/bench",)


@dataclass(frozen=True, slots=True)
class Stage:
    """What pytest is told; `waits`: its tests wait for processes and deadlines more than they compute."""

    name: str
    folders: Sequence[str]
    marks: str = ""
    ignore: Sequence[str] = ()
    waits: bool = False
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def report(self) -> Path:
        return REPORTS / f"{self.name}.xml"

    @property
    def report_again(self) -> Path:
        """Of the tests that failed, when they were run once more."""
        return REPORTS / f"{self.name}-again.xml"

    def words(self) -> list[str]:
        """Tests that must not meet (`xdist_group`) share a worker."""
        processors = len(os.sched_getaffinity(0))
        workers = processors * 2 if self.waits else processors
        beside = ["-n", str(workers), *(["--dist", "loadgroup"] if self.waits else [])]
        return [*self._pytest(self.report), "--cache-clear", *beside, *self._which()]

    def words_again(self) -> list[str]:
        """For the tests that failed, alone."""
        return [*self._pytest(self.report_again), "--last-failed", "-n", "0", *self._which()]

    def run(self) -> int:
        """Pytest's exit status."""
        # Workers that order a set each in its own way would not agree on what there is to run.
        seed = os.environ.get("PYTHONHASHSEED") or str(secrets.randbelow(2**32))
        print(f"— {self.name} (PYTHONHASHSEED={seed})", flush=True)
        env = {**os.environ, **self.env, "PYTHONHASHSEED": seed}
        status = subprocess.run(self.words(), env=env, check=False).returncode
        if status == TESTS_FAILED and self._may_be_tried_again():
            print(f"— {self.name}: what failed once more, alone", flush=True)
            status = subprocess.run(self.words_again(), env=env, check=False).returncode
        return status

    def _pytest(self, report: Path) -> list[str]:
        # Of what failed each stage keeps its own account.
        cache = f"cache_dir=build/pytest/{self.name}"
        quietly = ["-q", "--no-header", "-o", cache]
        return [sys.executable, "-m", "pytest", *quietly, f"--junitxml={report}"]

    def _which(self) -> list[str]:
        marks = ["-m", self.marks] if self.marks else []
        return [*marks, *(f"--ignore={folder}" for folder in self.ignore), *self.folders]

    def _may_be_tried_again(self) -> bool:
        failures = summarize_tests.failures(self.report)
        crashed = any("crashed while running" in why for why in failures.values())
        return 0 < len(failures) <= TRIED_AGAIN and not crashed


UNIT = Stage("unit", ["tests/unit"], "not slow")
RELEASE = Stage("release", QUICK, ignore=RECORDED_CLUSTER)
RELEASE_INTEGRATION = Stage("release-integration", INTEGRATION, waits=True)

# With a node, and the images that its pods run.
PODS_FOLDER = "tests/cluster/pods"
CLUSTER = Stage(
    "cluster",
    ("tests/cluster", "tests/interop", *RECORDED_CLUSTER),
    ignore=[PODS_FOLDER],
    waits=True,
)
# One node is what all its tests are about: one after the other, and nobody beside them.
PODS = Stage("pods", [PODS_FOLDER], waits=True, env={"L5D_IMAGES": "build/image/out"})


def debug(env: Mapping[str, str]) -> Stage:
    return Stage("debug", SEES_ENGINE, "not release_only", ignore=RECORDED_CLUSTER, env=env)


def debug_integration(env: Mapping[str, str]) -> Stage:
    """Once without io_uring: kernels and sandboxes that refuse it are common."""
    return Stage(
        "debug-integration",
        INTEGRATION,
        "not release_only and not slow",
        ignore=SEES_NO_ENGINE,
        waits=True,
        env={**env, "L5D_IO_URING": "0"},
    )


def sanitized(env: Mapping[str, str]) -> Stage:
    folders = ("tests/unit/_ext", "tests/contract", "tests/fuzz")
    return Stage("sanitized", folders, "not release_only", ignore=RECORDED_CLUSTER, env=env)


class Run:
    """Stages one after the other, and what they came to."""

    def __init__(self) -> None:
        REPORTS.mkdir(parents=True, exist_ok=True)
        for old in REPORTS.glob("*.xml"):
            old.unlink()
        self._over: list[Stage] = []

    def stage(self, stage: Stage) -> None:
        """Ends the run when it fails."""
        status = stage.run()
        self._over.append(stage)
        if status:
            self.summarize()
            fail(f"{stage.name} failed (pytest ended with {status})")

    def summarize(self) -> int:
        """The counts of all stages that ran; status 1 when anything failed or nothing ran."""
        return summarize_tests.main([stage.report for stage in self._over])
