"""Selectors of labels, as Kubernetes has them: which objects something is about."""

from __future__ import annotations

from dataclasses import dataclass, field

from linkerd2_py.controlplane.mesh.objects import Labels, no_labels


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the value of one label must be: `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def met_by(self, labels: Labels) -> bool:
        """Whether labels fulfil it. An operator that nobody knows is never fulfilled."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        return False


@dataclass(frozen=True, slots=True)
class Selector:
    """Selects what has all of `labels` and fulfils all `requirements`: without any, everything."""

    labels: Labels = field(default_factory=no_labels)
    requirements: tuple[Requirement, ...] = ()

    def selects(self, labels: Labels) -> bool:
        """Whether what has these labels is meant."""
        return self.labels.items() <= labels.items() and all(
            one.met_by(labels) for one in self.requirements
        )
