"""Manifests as Kubernetes' programs read them, and hostile ones, of which the line is told."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.cli.manifests.documents import MOST_DEEP, ManifestError, read_documents
from linkerd2_py.cli.manifests.write import to_json, to_yaml


def read(text: str) -> list[Any]:
    return [one.value for one in read_documents(text)]


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1e3", 1000.0),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("1_000", 1000),
        ("08", 8.0),
        ("on", True),
        ("NO", False),
        ("~", None),
        ("null", None),
        ("''", ""),
        ("'on'", "on"),
        ("!!str 80", "80"),
        ("!!int '80'", 80),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("-", [None]),
        ("v1", "v1"),
    ],
)
def test_words_mean_what_they_mean_to_kubernetes(word: str, meaning: Any) -> None:
    assert read(f"a: {word}" if word != "-" else "a:\n-") == [{"a": meaning}]


@pytest.mark.parametrize("text", ["a: 0644\n", "a: 1e3\n", "a: 1_000\n", "a: 0x1F\n"])
def test_numbers_keep_their_spelling(text: str) -> None:
    assert to_yaml(read(text)[0]) == text


@pytest.mark.parametrize(
    "text",
    [
        "80",
        "true",
        "y",
        "",
        "~",
        "1e3",
        "0x1f",
        "2026-01-01",
        "12:30",
        "a: b",
        "# a",
        "-",
        "<<",
        "=",
        "...",
        "...\n",
        "a\n...\n",
        "---\n",
        "a\n\n",
    ],
)
def test_texts_stay_texts_to_everybody(text: str) -> None:
    value = {"a": text, text: {"b": 1}}
    written = to_yaml(value)
    assert read(written) == [value]
    assert yaml.safe_load(written) == value


@pytest.mark.parametrize("text", ['"<<": {b: 1}', "'<<': 1", '? &m "<<"\n: 1', "a: &m <<\n*m : 1"])
def test_a_merge_is_said_without_quotes(text: str) -> None:
    assert "<<" in read(text)[0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), VALUES))
def test_what_is_written_is_read_again(value: Any) -> None:
    as_json = to_json(value)
    assert as_json.count("\n") == 1
    assert read(to_yaml(value)) == [value]


@given(st.text(max_size=60) | st.text(alphabet="-a: \n&*[]{}'\"|>#!<", max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    complaint = ""
    try:
        documents = list(read_documents(text))
    except ManifestError as error:
        documents, complaint = [], str(error)
    assert len(complaint.splitlines()) <= 1
    for one in documents:
        assert read(to_yaml(one.value)) in ([one.value], [])


def test_documents_keep_their_texts_with_all_remarks() -> None:
    first, second = "# first\na: 1 # one\n", "\nb: |\n  --- not\n"
    found = list(read_documents(f"---\n{first}---  # next\n{second}---\n\n--- {{c: 3}}\n"))
    assert [one.text for one in found] == [first, second, " {c: 3}\n"]
    assert [one.value for one in found] == [{"a": 1}, {"b": "--- not\n"}, {"c": 3}]


def test_aliases_and_merges_are_written_out() -> None:
    text = "base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\nlist: [*b, *b]\n"
    assert read(text) == [
        {
            "base": {"x": 1, "y": 2},
            "other": {"x": 1, "y": 3},
            "list": [{"x": 1, "y": 2}, {"x": 1, "y": 2}],
        }
    ]
    assert "&" not in to_yaml(read(text)[0])


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BOMB, r"line \d+: more than 2000000 values, aliases written out"),
        ("a: &x [*x]\n", "line 1: nothing is called 'x' before this"),
        ("\n\na: *nobody\n", "line 3: nothing is called 'nobody' before this"),
        ("[" * 101 + "]" * 101, f"line 1: nested more than {MOST_DEEP} deep"),
        ("[" * 100_000, "line 1: exceeded maximum nesting depth"),
        ("a: 1\n---\nb: 1\nb: 2\n", "line 4: 'b' is said twice"),
        ("a: b: c\n", "line 1: mapping values are not allowed"),
        ("a: !!python/object:os.system x\n", "line 1: the tag .* means nothing here"),
        ("? [a]\n: b\n", "line 1: a key must be a word"),
        ("a: 1\n...\nb: 2\n", "line 3: did not find expected <document start>"),
        ("a: \x00\n", "control characters are not allowed"),
        ("a:\n  <<: 1\n", "<< merges mappings only"),
        ("a: 1\n---\n\n\nb: [\n", r"line [56]: "),
    ],
)
def test_hostile_texts_are_refused_by_their_line(text: str, complaint: str) -> None:
    with pytest.raises(ManifestError, match=complaint) as caught:
        read(text)
    assert len(str(caught.value).splitlines()) == 1
