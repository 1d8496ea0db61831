"""`--set` and its like."""

from __future__ import annotations

import pytest

from linkerd2_py.charts.evaluate import ValuesError
from linkerd2_py.charts.flags import set_all


def made(said, *, below=None, **options):
    values = below or {}
    set_all(values, said, flag="--set", **options)
    return values


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("a=b", {"a": "b"}),
        ("a.b=c,d[0]=e", {"a": {"b": "c"}, "d": ["e"]}),
        ("a=1,b=true,c=FALSE,d=null,e=01,f=1.5,g=-3,h=0", None),
        ("a={b,c}", {"a": ["b", "c"]}),
        ("a={b,1},c=d", {"a": ["b", 1], "c": "d"}),
        ("a={}", {"a": [""]}),
        (r"a=b\,c,d\.e=f", {"a": "b,c", "d.e": "f"}),
        ("a[1]=x", {"a": [None, "x"]}),
        ("a[0].b=1,a[0].c=2", {"a": [{"b": 1, "c": 2}]}),
        ("a[0][1]=x", {"a": [[None, "x"]]}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=99999999999999999999", {"a": "99999999999999999999"}),
    ],
)
def test_what_is_set(said, expected):
    if expected is None:
        expected = {
            "a": 1,
            "b": True,
            "c": False,
            "d": None,
            "e": "01",
            "f": "1.5",
            "g": -3,
            "h": 0,
        }
    assert made(said) == expected


def test_what_was_set_before_is_kept():
    assert made("a.b=2", below={"a": {"c": 1}}) == {"a": {"b": 2, "c": 1}}


def test_texts():
    assert made("a=1,b=true,c={1}", read=str) == {"a": "1", "b": "true", "c": ["1"]}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("a", "key 'a' has no value"),
        ("a.b", "key 'a.b' has no value"),
        ("=x", "a name is missing"),
        ("a..b=x", "a name is missing"),
        ("a[x]=1", r"\[x\] is no index"),
        ("a[70000]=1", r"\[70000\] is no index"),
        ("a[0=1", "is no index"),
        ("a[0]b=1", "after ] comes"),
        ("a={b", "has no end"),
        ("a={b}c", "comes a comma"),
        ("a=1,a.b=2", "a is no mapping"),
        ("a=1,a[0]=2", "a is no list"),
        ("x." * 40 + "y=1", "names deep"),
    ],
)
def test_what_means_nothing(said, words):
    with pytest.raises(ValuesError, match=words):
        made(said)
