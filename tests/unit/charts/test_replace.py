"""Trees of which something is known."""

from __future__ import annotations

import pytest

from linkerd2_py.charts.evaluate import evaluate, roots
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    AtLeast,
    Choice,
    Default,
    Equal,
    Items,
    Not,
    Ref,
    When,
    every,
    extended,
    some,
    text,
)
from linkerd2_py.charts.replace import replaced


def test_references_and_what_is_below_them():
    known = {"a": Ref("x.y"), "b": {"c": 1}, "d": "four"}
    tree = {
        "1": Ref("a.z"),
        "2": Ref("b.c"),
        "3": Ref("b.no.more"),
        "4": text("-", Ref("d")),
        "5": NAMESPACE,
    }
    assert replaced(tree, known) == {
        "1": Ref("x.y.z"),
        "2": 1,
        "3": None,
        "4": text("-", "four"),
        "5": NAMESPACE,
    }


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (Not(Ref("on")), False),
        (Equal(Ref("name"), "n"), True),
        (Equal(Ref("other"), "n"), Equal(Ref("other"), "n")),
        (AtLeast(Ref("number"), 2), False),
        (every(Ref("on"), Ref("other")), Ref("other")),
        (every(Ref("off"), Ref("other")), False),
        (some(Ref("off"), Ref("other")), Ref("other")),
        (some(Ref("on"), Ref("other")), True),
        (every(Ref("on")), True),
        (some(Ref("off")), False),
        (Choice(Ref("on"), "a", "b"), "a"),
        (Default(Ref("off"), Ref("other")), Ref("other")),
        (Default(Ref("name"), Ref("other")), "n"),
        ({"k": When(Ref("off"), 1), "l": When(Ref("on"), Ref("name"))}, {"l": "n"}),
        (["a", When(Ref("off"), "b"), When(Not(Ref("on")), "c", otherwise="d")], ["a", "d"]),
        (extended({"k": Ref("name")}, Ref("other")), extended({"k": "n"}, Ref("other"))),
    ],
)
def test_what_is_decided_is_gone(tree, expected):
    known = {"on": True, "off": False, "name": "n", "number": 1}
    assert replaced(tree, known) == expected


def test_the_outcome_is_the_same():
    values = {"a": True, "b": "x", "c": {"d": 3}}
    tree = {"k": [When(every(Ref("a"), Equal(Ref("b"), "x")), Items((Ref("c.d"), text(Ref("b")))))]}
    assert (
        evaluate(replaced(tree, values), roots({}))
        == evaluate(tree, roots(values))
        == {"k": [3, "x"]}
    )
