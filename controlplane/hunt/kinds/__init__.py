"""One module for each kind of fault: `find` is a pure function from evidence to what it finds of that
kind.
"""

from collections.abc import Callable, Iterable
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding
from linkerd2_py.controlplane.hunt.kinds import (
    clock,
    crashes,
    denied,
    expired,
    fails,
    names,
    one_pod,
    opaque,
    port,
    silent,
    slow,
    storm,
    unreachable,
)

KINDS: Final[tuple[Callable[[Evidence], Iterable[Finding]], ...]] = (
    expired.find,
    clock.find,
    crashes.find,
    port.find,
    denied.find,
    unreachable.find,
    opaque.find,
    names.find,
    one_pod.find,
    storm.find,
    fails.find,
    slow.find,
    silent.find,
)


def found_in(evidence: Evidence) -> list[Finding]:
    """What all of them find, in no order."""
    return [finding for find in KINDS for finding in find(evidence)]
