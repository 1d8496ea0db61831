"""What every scenario has in common: its name, its subjects, and a stand on which they are
measured in turn.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.children import Children
from bench.machine import Placement
from bench.programs import LoadResult, Window
from bench.results import Sample
from bench.subjects.subject import Subject

TRAFFIC_COLUMNS = (
    "exchanges_per_s",
    "cpu_us_per_exchange",
    "p50_us",
    "p99_us",
    "p999_us",
    "rss_kib",
    "private_kib",
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to measure. `smoke`: as small as can be, for correctness only."""

    passes: int
    seconds: float
    warmup: float
    calibration_s: float
    smoke: bool = False

    @property
    def window(self) -> Window:
        """Of one pass."""
        return Window(seconds=self.seconds, warmup=self.warmup)

    def size(self, full: int, *, tiny: int) -> int:
        """A size that `--smoke` makes small."""
        return tiny if self.smoke else full


@dataclass(frozen=True, slots=True)
class Rig:
    """What a scenario may use while it is open."""

    children: Children
    placement: Placement
    effort: Effort


class Stand(ABC):
    """An open scenario: everything it needs is up."""

    absent: Mapping[str, str]
    """Subjects that cannot be had here, and why."""
    failed: Mapping[str, str]
    """Subjects that should have come up, and did not."""

    @abstractmethod
    def sample(self, subject: Subject) -> Sample:
        """One pass of one subject. BenchError when it cannot be measured."""


class Scenario(ABC):
    """One kind of traffic.

    The first of `subjects` is ours. `cost` is the figure to compare by: the smaller, the better. Beyond
    `most_passes` nothing is learnt.
    """

    name: str
    description: str
    unit: str
    subjects: tuple[str, ...]
    cost: str
    columns: tuple[str, ...]
    most_passes: int | None = None

    @abstractmethod
    def open(self, rig: Rig, subjects: tuple[Subject, ...]) -> AbstractContextManager[Stand]:
        """Put everything up; leaving the block takes it down."""


def figures_of(result: LoadResult) -> dict[str, float]:
    """The figures of any traffic; processor time only where a process was watched, little else where nothing
    came back.
    """
    if not result.exchanges:
        return {"exchanges_per_s": 0.0}
    figures: dict[str, float] = {
        "exchanges_per_s": result.exchanges / result.seconds,
        "p50_us": result.p50_us,
        "p90_us": result.p90_us,
        "p99_us": result.p99_us,
        "p999_us": result.p999_us,
        "max_us": result.max_us,
        "load_cpu_us_per_exchange": result.own_cpu_ns / result.exchanges / 1e3,
    }
    if result.messages:
        figures["messages_per_s"] = result.messages / result.seconds
    if result.handshakes:
        figures["resumed"] = result.resumed / result.handshakes
    if result.bytes:
        figures["mb_per_s"] = result.bytes / result.seconds / 1e6
    return figures | _cost_of(result)


def _cost_of(result: LoadResult) -> dict[str, float]:
    """Processor time of what was watched, by each unit that was counted."""
    if result.cpu_ns is None:
        return {}
    cpu_us = result.cpu_ns / 1e3
    costs = {"cpu_us_per_exchange": cpu_us / result.exchanges}
    if result.messages:
        costs["cpu_us_per_message"] = cpu_us / result.messages
    if result.bytes:
        costs["cpu_ms_per_gb"] = cpu_us / 1e3 / (result.bytes / 1e9)
    return costs
