"""What trees are, with values."""

from __future__ import annotations

import pytest

from linkerd2_py.charts.evaluate import ValuesError, evaluate, objects, roots
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Applied,
    AtLeast,
    Choice,
    Default,
    Each,
    Equal,
    Function,
    Items,
    Joined,
    Let,
    Manifest,
    Not,
    Ref,
    Refusal,
    When,
    Without,
    every,
    extended,
    some,
    spread,
    text,
)

VALUES = {
    "on": True,
    "off": False,
    "name": "proxy",
    "none": None,
    "empty": "",
    "number": 4143,
    "tags": {"a": "1", "b": "2"},
    "more": {"b": "3", "c": "4"},
    "list": ["x", "y"],
    "deep": {"key": "secret", "other": 1},
}
KNOWN = roots(VALUES, namespace="mesh")


def made(tree):
    return evaluate(tree, KNOWN)


def test_plain_values_and_references():
    tree = {
        "a": Ref("deep.other"),
        "b": [1, Ref("name")],
        "c": NAMESPACE,
        "d": Ref("no.such"),
        "e": {},
    }
    assert made(tree) == {"a": 1, "b": [1, "proxy"], "c": "mesh", "d": None, "e": {}}


def test_texts_are_written_as_helm_writes_them():
    assert made(text("a-", Ref("number"), "-", Ref("on"), "-", 1.0)) == "a-4143-true-1"


def test_a_text_with_a_part_that_is_nothing_is_refused():
    with pytest.raises(ValuesError, match="none is not set"):
        made(text("a", Ref("none")))


def test_what_is_below_a_scalar_is_refused():
    with pytest.raises(ValuesError, match=r"name\.below"):
        made(Ref("name.below"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (Default(Ref("empty"), Ref("name")), "proxy"),
        (Default(Ref("name"), "other"), "proxy"),
        (Choice(Ref("on"), "yes", "no"), "yes"),
        (Choice(Ref("empty"), "yes", "no"), "no"),
        (Equal(Ref("number"), "4143"), True),
        (AtLeast(Ref("number"), 5000), False),
        (AtLeast(Ref("number"), 4143), True),
        (Not(Ref("tags")), False),
        (every(Ref("on"), Ref("name")), True),
        (every(Ref("on"), Ref("off")), False),
        (some(Ref("off"), Ref("name")), True),
        (some(Ref("off"), Ref("empty")), False),
        (Joined(Ref("list"), ","), "x,y"),
        (Applied(Function.BASE64, Ref("name")), "cHJveHk="),
        (Applied(Function.TRIM, text(" ", Ref("name"), "\n")), "proxy"),
        (Applied(Function.JSON, Ref("deep")), '{"key":"secret","other":1}'),
        (Applied(Function.YAML, Ref("deep")), "key: secret\nother: 1"),
    ],
)
def test_expressions(expression, expected):
    assert made(expression) == expected


def test_json_is_go_s():
    assert evaluate(Applied(Function.JSON, Ref("x")), roots({"x": ["<&>", 2.0, 0.5]})) == (
        '["\\u003c\\u0026\\u003e",2,0.5]'
    )


def test_keys_and_items_under_conditions():
    tree = {
        "there": When(Ref("on"), 1),
        "not": When(Ref("off"), 1),
        "other": When(Ref("off"), 1, otherwise=2),
        "items": [
            "a",
            When(Ref("on"), Items(("b", "c"))),
            When(Ref("off"), "d"),
            spread(Ref("list")),
        ],
    }
    assert made(tree) == {"there": 1, "other": 2, "items": ["a", "b", "c", "x", "y"]}


def test_of_which_nothing_is_there_is_null():
    tree = {"mapping": {"a": When(Ref("off"), 1)}, "list": [When(Ref("off"), 1)]}
    assert made(tree) == {"mapping": None, "list": None}


def test_one_item_for_each():
    tree = Each("one", Ref("list"), {"name": Ref("", of="one"), "of": Ref("name")})
    assert made({"all": tree})["all"] == [
        {"name": "x", "of": "proxy"},
        {"name": "y", "of": "proxy"},
    ]


def test_what_a_mapping_names_is_not_changed_by_values_and_later_values_win():
    assert made(extended({"a": "ours"}, Ref("tags"), Ref("more"))) == {
        "a": "ours",
        "b": "3",
        "c": "4",
    }


def test_a_file_has_names_refusals_and_objects_under_conditions():
    manifest = Manifest(
        "x.yaml",
        (
            Refusal(Ref("off"), "never"),
            Let("shown", Without(Ref("deep"), ("key",))),
            {"kind": "A", "data": Ref("", of="shown")},
            When(Ref("off"), {"kind": "B"}),
            Each("one", Ref("list"), {"kind": Ref("", of="one")}),
        ),
    )
    found = list(objects(manifest, KNOWN))
    assert found == [{"kind": "A", "data": {"other": 1}}, {"kind": "x"}, {"kind": "y"}]


def test_values_that_mean_nothing_are_refused():
    with pytest.raises(ValuesError, match="choose one"):
        list(objects(Manifest("x", (Refusal(Ref("on"), "choose one"),)), KNOWN))
