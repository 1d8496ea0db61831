"""What the figures were measured on, and which processors the roles run on."""

import os
import platform
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from linkerd2_py import __version__


@dataclass(frozen=True, slots=True)
class Placement:
    """`traffic`: load, origin and control plane; `subject`: what is measured, alone where there are two
    processors.
    """

    traffic: int
    subject: int

    @classmethod
    def choose(cls, cores: Collection[int], *, one_is_enough: bool) -> "Placement":
        """From the processors we may use. BenchError when there is but one and figures are wanted."""
        first, *others = sorted(cores)
        if not others and not one_is_enough:
            raise BenchError(
                "only one processor may be used here; measuring needs two (--smoke does with one)"
            )
        return cls(first, others[0] if others else first)


def usable_cores() -> set[int]:
    """Processors this process may run on."""
    return os.sched_getaffinity(0)


@dataclass(frozen=True, slots=True)
class Machine:
    """The fingerprint that goes with every result."""

    cpu: str
    cores: int
    kernel: str
    congestion_control: str
    clocksource: str
    python: str
    linkerd2_py: str
    load_average: tuple[float, float, float]
    mitigations: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in a result file."""
        return asdict(self)


def fingerprint() -> Machine:
    """This machine, now."""
    return Machine(
        cpu=_cpu_model(),
        cores=len(usable_cores()),
        kernel=platform.release(),
        congestion_control=_first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        clocksource=_first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        python=platform.python_version(),
        linkerd2_py=__version__,
        load_average=os.getloadavg(),
        mitigations=_first_line("/sys/devices/system/cpu/vulnerabilities/spectre_v2"),
    )


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return "unknown"
