"""Instruction counts in a file, with the circumstances they hold for, and what became of them."""

import json
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from linkerd2_py._ext.core import debug
from linkerd2_py._ext.http1 import client as compiled

COMPILER = re.compile(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+")


class BadBaseline(Exception):
    """One line for the user: why a file is no baseline."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What, beside our code, decides how many instructions an operation takes."""

    machine: str
    python: str
    libc: str
    compiler: str
    engine: str

    @classmethod
    def here(cls) -> "Circumstances":
        module = Path(compiled.__file__).read_bytes()
        compiler = COMPILER.search(module)
        return cls(
            machine=platform.machine(),
            python=platform.python_version(),
            libc=" ".join(platform.libc_ver()),
            compiler=compiler[0].decode() if compiler else "unknown",
            engine="debug" if debug.enabled() else "release",
        )

    def differences(self, other: "Circumstances") -> list[str]:
        """Each as `name: theirs → ours`, when `self` is ours."""
        ours, theirs = asdict(self), asdict(other)
        return [
            f"{name}: {theirs[name]} → {ours[name]}" for name in ours if ours[name] != theirs[name]
        ]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Instructions per operation by the name of the case."""

    circumstances: Circumstances
    instructions: dict[str, float]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Baseline":
        try:
            found = json.loads(path.read_text())
            instructions = {
                str(name): float(count) for name, count in found["instructions"].items()
            }
            circumstances = Circumstances(**found["circumstances"])
        except OSError as error:
            raise BadBaseline(f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadBaseline(f"{path} is no file that --json wrote: {error!r}") from None
        if not all(count > 0 for count in instructions.values()):
            raise BadBaseline(f"{path}: a count of instructions is not above 0")
        return cls(circumstances, instructions)


@dataclass(frozen=True, slots=True)
class Change:
    """One case before and now; `before` is None for a case that the baseline does not have."""

    case: str
    before: float | None
    now: float

    @property
    def percent(self) -> float | None:
        return None if self.before is None else 100 * (self.now / self.before - 1)

    def exceeds(self, tolerance_percent: float) -> bool:
        """Whether the case grew by more than that."""
        return self.percent is not None and self.percent > tolerance_percent


def changes(before: dict[str, float], now: dict[str, float]) -> list[Change]:
    """What became of each case that was counted now, in that order."""
    return [Change(case, before.get(case), count) for case, count in now.items()]
