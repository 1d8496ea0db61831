"""What a controller says of an object in its status: the conditions of Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

CONTROLLER: Final = "linkerd.io/policy-controller"
"""Who we are where a status says whose words are whose, as Linkerd's."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that holds or does not, and why. Since when is left out: equal conditions say the same."""

    type: str
    holds: bool
    reason: str
    message: str = ""


class Parent(NamedTuple):
    """What a route is attached to: a Service (of group `core`), EgressNetwork or Server, or what another
    controller knows. `port` 0 means all of its ports.
    """

    group: str
    kind: str
    namespace: str
    name: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class ParentStatus:
    """What we say of a route at one of its parents."""

    parent: Parent
    conditions: tuple[Condition, ...] = ()
