"""Which labels a selector means."""

from __future__ import annotations

import pytest

from linkerd2_py.controlplane.mesh.selector import Requirement, Selector

LABELS = {"app": "web", "tier": "front"}


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        (Requirement("app", "In", frozenset({"web", "db"})), True),
        (Requirement("app", "In", frozenset({"db"})), False),
        (Requirement("zone", "In", frozenset({"a"})), False),
        (Requirement("app", "NotIn", frozenset({"web"})), False),
        (Requirement("app", "NotIn", frozenset({"db"})), True),
        # As in Kubernetes: what has no such label is not in any list.
        (Requirement("zone", "NotIn", frozenset({"a"})), True),
        (Requirement("app", "Exists"), True),
        (Requirement("zone", "Exists"), False),
        (Requirement("app", "DoesNotExist"), False),
        (Requirement("zone", "DoesNotExist"), True),
        (Requirement("app", "Like", frozenset({"web"})), False),
    ],
)
def test_requirement(requirement: Requirement, met: bool) -> None:
    assert Selector(requirements=(requirement,)).selects(LABELS) is met


def test_all_of_a_selector_must_hold() -> None:
    assert Selector({"app": "web", "tier": "front"}).selects(LABELS)
    assert not Selector({"app": "web", "tier": "back"}).selects(LABELS)
    assert not Selector({"app": "web"}, (Requirement("tier", "DoesNotExist"),)).selects(LABELS)
    assert Selector().selects({})
