"""Memory of a process with all its descendants, as the kernel counts it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """KiB: all that is resident, and of it what no other process can share."""

    rss_kib: int
    private_kib: int

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.rss_kib + other.rss_kib, self.private_kib + other.private_kib)


def memory_of(pids: Iterable[int]) -> Memory:
    """Of the processes and of all they started."""
    total = Memory(0, 0)
    for pid in family(pids):
        # A member may have ended since it was listed.
        with suppress(OSError):
            total += parse_status((_PROC / str(pid) / "status").read_text())
    return total


def family(pids: Iterable[int]) -> Iterator[int]:
    """The processes and all their descendants."""
    for pid in pids:
        yield pid
        yield from family(_children(pid))


def parse_status(text: str) -> Memory:
    """From /proc/PID/status; a process that is ending has no memory lines."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Memory(_kib(fields.get("VmRSS")), _kib(fields.get("RssAnon")))


def _kib(field: str | None) -> int:
    return int(field.split()[0]) if field else 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found
