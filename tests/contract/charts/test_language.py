"""Whatever tree it is and whatever values: Helm makes of the template what `evaluate` makes of the tree."""

from __future__ import annotations

import string
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from linkerd2_py.charts.evaluate import ValuesError, evaluate, roots
from linkerd2_py.charts.flags import set_all
from linkerd2_py.charts.helm import template
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
    When,
    Without,
    every,
    extended,
    some,
    text,
)
from tests.support.helm import Helm, HelmError, write_chart

RUNS = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""Helm starts in a tenth of a second: each example tries many trees in one run of it."""
NOTHING = st.none()
SIGNS = st.characters(
    exclude_categories=["Cs", "Cc"],
    exclude_characters="\ufeff\ufffe\uffff",
    include_characters="\t\n",
)
"""What values may have; see `charts.schema`."""
HOSTILE = st.sampled_from(
    [
        *(
            "",
            " ",
            "null",
            "true",
            "yes",
            "~",
            "1",
            "0x1f",
            "1_000",
            "1e3",
            ".5",
            "2001-01-01",
            "=",
            "<<",
        ),
        *(
            "a: b",
            "- a",
            "a #b",
            "'",
            '"',
            '\\"',
            "`",
            "*a",
            "&a",
            "!a",
            "|",
            ">",
            "%a",
            "@a",
            "?",
            "\\",
        ),
        *(
            "{{ .Values }}",
            "}}",
            "{{",
            "{{/*",
            "---\nkind: Secret",
            "a\n---\nb",
            "\n",
            "\t",
            " a ",
            "a\\nb",
        ),
        *("<&>'\"", "é", "日本", "\u2028", "😀", "$(HOME)", "${HOME}", "%s%d", "a\n  b: c\n"),
    ]
)
TEXTS = HOSTILE | st.text(SIGNS, max_size=12)
SCALARS = TEXTS | st.booleans() | st.integers(-(2**31), 2**31)
MAPS = st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=4)
VALUES = st.fixed_dictionaries(
    {
        "words": TEXTS,
        "scalar": SCALARS,
        "number": st.integers(-5, 5),
        "switch": st.booleans(),
        "map": MAPS,
        "more": MAPS,
        "list": st.lists(TEXTS, max_size=4),
        "objects": st.lists(
            st.fixed_dictionaries({"name": TEXTS, "on": st.booleans()}), max_size=3
        ),
        "deep": st.fixed_dictionaries({"da-sh": st.fixed_dictionaries({"key": SCALARS})}),
    }
)
LEAVES = st.sampled_from(
    [Ref(path) for path in ("words", "scalar", "number", "switch", "deep.da-sh.key")] + [NAMESPACE]
)


def _conditions(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(parts, min_size=1, max_size=3)
    return st.one_of(
        parts.map(Not),
        several.map(lambda all_: every(*all_)),
        several.map(lambda all_: some(*all_)),
        st.builds(Equal, LEAVES, LEAVES | SCALARS),
    )


CONDITIONS = st.recursive(
    LEAVES
    | st.sampled_from([Ref("map"), Ref("list"), Ref("no")])
    | st.builds(AtLeast, st.just(Ref("number")), st.integers(-5, 5)),
    _conditions,
    max_leaves=4,
)
EXPRESSIONS = st.one_of(
    LEAVES,
    CONDITIONS.filter(lambda one: not isinstance(one, Ref)),
    st.builds(Choice, CONDITIONS, LEAVES | SCALARS, LEAVES | SCALARS),
    st.builds(Default, LEAVES, LEAVES | SCALARS),
    st.lists(LEAVES | SCALARS, min_size=1, max_size=4).map(lambda parts: text(*parts)),
    st.builds(Applied, st.sampled_from([Function.BASE64, Function.SHA256]), st.just(Ref("words"))),
    st.builds(
        Applied, st.just(Function.JSON), st.sampled_from([Ref("map"), Ref("objects"), Ref("list")])
    ),
    st.builds(Joined, st.just(Ref("list")), TEXTS),
    st.sampled_from([Ref("map"), Ref("list"), Ref("objects"), Ref("deep")]),
)
LOOPS = st.sampled_from(
    [
        Each("one", Ref("list"), Ref("", of="one")),
        Each("one", Ref("objects"), {"n": Ref("name", of="one"), "w": Ref("words")}),
        Each("one", Ref("objects"), When(Ref("on", of="one"), text("-", Ref("name", of="one")))),
    ]
)


def _branches(trees: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    maps = st.dictionaries(TEXTS, trees, max_size=3)
    items = st.one_of(
        trees,
        LOOPS,
        st.lists(trees, max_size=3).map(lambda several: Items(tuple(several))),
        st.builds(When, CONDITIONS, trees | LOOPS),
    )
    return st.one_of(
        maps,
        st.dictionaries(TEXTS, trees | st.builds(When, CONDITIONS, trees), max_size=3),
        st.dictionaries(TEXTS, st.builds(When, CONDITIONS, trees, trees), max_size=3),
        st.lists(items, max_size=3),
        st.builds(lambda own: extended(own, Ref("map"), Ref("more")), maps),
        LOOPS,
    )


TREES = st.recursive(SCALARS | EXPRESSIONS, _branches, max_leaves=8)


def rendered(helm: Helm, folder: Path, manifests: dict[str, Manifest], values: Any) -> list[Any]:
    templates = {name: template(one, source="here") for name, one in manifests.items()}
    return helm.template(write_chart(folder / "chart", templates, values))


@RUNS
@given(trees=st.lists(TREES, min_size=20, max_size=20), values=VALUES)
def test_helm_makes_the_same_of_any_tree(helm: Helm, trees: list[Any], values: Any) -> None:
    objects = [{"kind": f"K{number}", "tree": tree} for number, tree in enumerate(trees)]
    with TemporaryDirectory() as folder:
        made = rendered(
            helm, Path(folder), {"all.yaml": Manifest("all.yaml", tuple(objects))}, values
        )
    found = {one["kind"]: one for one in made}
    for one in objects:
        assert found[one["kind"]] == evaluate(one, roots(values)), one


def test_values_can_be_shown_without_their_secrets(helm: Helm, tmp_path: Path) -> None:
    values = {"a": {"key": "secret", "other": "shown"}, "b": "secret", "c": 1}
    manifest = Manifest(
        "x.yaml",
        (
            Let("shown", Without(Ref(""), ("a.key", "b"))),
            {"kind": "A", "text": Applied(Function.JSON, Ref("", of="shown")), "all": Ref("a")},
        ),
    )
    (found,) = rendered(helm, tmp_path, {"x.yaml": manifest}, values)
    assert found == {"kind": "A", "text": '{"a":{"other":"shown"},"c":1}', "all": values["a"]}


KEYS = st.lists(
    st.text(string.ascii_lowercase, min_size=1, max_size=2) | st.integers(0, 2).map(lambda at: at),
    min_size=1,
    max_size=4,
).map(lambda words: "".join(f"[{word}]" if isinstance(word, int) else f".{word}" for word in words))
SET = st.lists(
    st.one_of(
        st.tuples(KEYS, HOSTILE | st.text("ab01,{}=.[]\\-+ntrue", max_size=8)).map("=".join),
        st.text("ab01,{}=.[]\\-", max_size=10),
    ),
    min_size=1,
    max_size=3,
).map(lambda said: ",".join(one.removeprefix(".") for one in said))


def _ours(said: str) -> dict[str, Any] | None:
    """Nothing, if it is refused."""
    made: dict[str, Any] = {}
    try:
        set_all(made, said, flag="--set")
    except ValuesError:
        return None
    return made


def _helms(helm: Helm, said: str) -> dict[str, Any] | None:
    shown = {"all.yaml": "kind: A\nvalues: {{ .Values | toJson }}"}
    with TemporaryDirectory() as folder:
        chart = write_chart(Path(folder) / "chart", shown, {})
        try:
            (made,) = helm.template(chart, "--set", said)
        except HelmError:
            return None
    found: dict[str, Any] = made["values"]
    return found


@settings(RUNS, max_examples=60)
@given(said=SET)
def test_set_is_read_as_helm_reads_it(helm: Helm, said: str) -> None:
    """Where Helm passes over what has no name or no place, ours says so; nothing is read as something
    else.
    """
    # Helm forgets an empty value below a list, if it is the last.
    assume(not (said.endswith("=") and "[" in said))
    ours = _ours(said)
    if ours is not None:
        assert ours == _helms(helm, said)


def test_what_is_usually_set_is_taken(helm: Helm) -> None:
    said = "a.b=c,d[0]=e,f={g,1},h=true,i=null,j=01,k={},l.m[1].n=x,a.o=p\\,q"
    assert _ours(said) is not None
    assert _ours(said) == _helms(helm, said)
