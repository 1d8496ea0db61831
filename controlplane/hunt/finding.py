"""What a hunt finds: one thing that is wrong, with the commands that show it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from linkerd2_py.controlplane.mesh.objects import WorkloadKey

IMPACT: Final = 9.0
"""What the share of requests that suffer may add to a weight: less than the distance of two of them."""


class Weight(IntEnum):
    """How much of a cause a kind is: what makes others fail comes before what is seen of it."""

    EXPIRED = 120
    CLOCK = 110
    CRASHES = 100
    PORT = 90
    DENIED = 80
    UNREACHABLE = 70
    OPAQUE = 60
    NAMES = 50
    ONE_POD = 40
    STORM = 30
    FAILS = 20
    SLOW = 10
    SILENT = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: with a `resource` (`deploy/web`, or `mesh` where it is with all of them), in a
    sentence.

    `impact` is the share of requests that suffer, from 0 to 1. `about` are workloads that whoever asks
    for one of them wants to hear of it, too; `commands` are words after the program's name.
    """

    kind: Weight
    namespace: str
    resource: str
    sentence: str
    commands: tuple[str, ...]
    impact: float = 1.0
    about: frozenset[WorkloadKey] = frozenset()
    since_s: float | None = None

    @property
    def score(self) -> float:
        """By which findings are ordered, the highest first."""
        return self.kind + IMPACT * min(max(self.impact, 0.0), 1.0)


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The most likely cause first, each once; of equal ones in the order of their names."""
    return sorted(
        dict.fromkeys(findings),
        key=lambda one: (-one.score, one.namespace, one.resource, one.sentence),
    )
