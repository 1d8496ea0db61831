"""A compiled tree of conditions says what a model in Python says, of whatever exchange."""

from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.tap import testing
from linkerd2_py._ext.tap.match import DEPTH_MAX, NODES_MAX, Matcher

Tree = tuple[Any, ...]
Labels = tuple[tuple[str, str], ...]

# Few of each, so that conditions and exchanges meet.
TEXTS = [b"", b"/", b"/a", b"/a/b", b"/ab", b"web", b"web.test", b"web.test:80"]
IPS = ["10.0.0.1", "10.0.1.1", "10.128.0.1", "::1", "fd00::1", "fd00:1::1"]
PORTS = [1, 80, 81, 443, 65535]
LABELS = [("app", "web"), ("app", "api"), ("zone", "a"), ("app", "")]


class Seen(NamedTuple):
    method: bytes
    scheme: bytes
    authority: bytes
    path: bytes
    source: tuple[str, int] | None
    destination: tuple[str, int] | None
    own: Labels | None
    of_set: Labels | None
    route: Labels | None


def addresses() -> st.SearchStrategy[tuple[str, int] | None]:
    return st.none() | st.tuples(st.sampled_from(IPS), st.sampled_from(PORTS))


def labels() -> st.SearchStrategy[Labels | None]:
    return st.none() | st.lists(st.sampled_from(LABELS), max_size=3).map(tuple)


def exchanges() -> st.SearchStrategy[Seen]:
    queries = st.sampled_from([b"", b"?", b"?q=/a"])
    return st.builds(
        Seen,
        st.sampled_from([b"GET", b"POST", b"get", b"PURGE"]),
        st.sampled_from([b"", b"http", b"https"]),
        st.sampled_from(TEXTS),
        st.tuples(st.sampled_from(TEXTS), queries).map(b"".join),
        addresses(),
        addresses(),
        labels(),
        labels(),
        labels(),
    )


def networks() -> st.SearchStrategy[tuple[bytes, int]]:
    def with_bits(ip: str) -> st.SearchStrategy[tuple[bytes, int]]:
        packed = ip_address(ip).packed
        return st.integers(0, 8 * len(packed)).map(lambda bits: (packed, bits))

    return st.sampled_from(IPS).flatmap(with_bits)


def leaves() -> st.SearchStrategy[Tree]:
    kinds = ["scheme", "method", "authority", "authority-prefix", "path", "path-prefix"]
    texts = st.sampled_from([*TEXTS, b"http", b"https", b"GET", b"PURGE"])
    ranges = st.tuples(st.sampled_from(PORTS), st.sampled_from(PORTS))
    sides = st.sampled_from(["source", "destination"])
    return st.one_of(
        st.tuples(st.sampled_from(kinds), texts),
        st.tuples(sides, networks()).map(lambda it: (f"{it[0]}-network", *it[1])),
        st.tuples(sides, ranges).map(lambda it: (f"{it[0]}-ports", *it[1])),
        st.tuples(
            st.sampled_from(["destination-label", "route-label"]), st.sampled_from(LABELS)
        ).map(lambda it: (it[0], *it[1])),
    )


def trees() -> st.SearchStrategy[Tree]:
    def above(below: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        several = st.tuples(st.sampled_from(["all", "any"]), st.lists(below, max_size=4))
        return several.map(lambda it: (it[0], *it[1])) | below.map(lambda it: ("not", it))

    return st.recursive(leaves(), above, max_leaves=20)


def model(tree: Tree, seen: Seen) -> bool:
    kind, *words = tree
    if kind == "all":
        return all(model(each, seen) for each in words)
    if kind == "any":
        return any(model(each, seen) for each in words)
    if kind == "not":
        return not model(words[0], seen)
    side, _, what = kind.partition("-")
    if what in {"network", "ports"}:
        address = getattr(seen, side)
        if address is None:
            return False
        if what == "ports":
            return bool(words[0] <= address[1] <= words[1])
        network = ip_network((words[0], words[1]), strict=False)
        return ip_address(address[0]) in network
    if kind == "route-label":
        return tuple(words) in (seen.route or ())
    if kind == "destination-label":
        return tuple(words) in (*(seen.own or ()), *(seen.of_set or ()))
    text = {
        "scheme": seen.scheme or b"http",
        "method": seen.method,
        "authority": seen.authority,
        "path": seen.path.partition(b"?")[0],
    }[side]
    return bool(text.startswith(words[0]) if what == "prefix" else text == words[0])


@given(trees(), exchanges())
def test_compiled_conditions_say_what_the_model_says(tree: Tree, seen: Seen) -> None:
    message = testing.Message(
        method=seen.method, scheme=seen.scheme, authority=seen.authority, path=seen.path
    )
    found = testing.holds(
        Matcher(tree),
        message,
        source=seen.source and Address(*seen.source),
        destination=seen.destination and Address(*seen.destination),
        own=seen.own,
        of_set=seen.of_set,
        route=seen.route,
    )
    assert found == model(tree, seen)


def nested(depth: int) -> Tree:
    tree: Tree = ("all",)
    for _ in range(depth):
        tree = ("not", tree)
    return tree


def test_what_is_too_large_or_too_deep_is_refused() -> None:
    Matcher(nested(DEPTH_MAX))
    with pytest.raises(ValueError, match="deep"):
        Matcher(nested(DEPTH_MAX + 1))
    Matcher(("any", *(NODES_MAX - 1) * [("path", b"/")]))
    with pytest.raises(ValueError, match="conditions"):
        Matcher(("any", *NODES_MAX * [("path", b"/")]))


@pytest.mark.parametrize(
    "tree",
    [
        *((), ("?",), ("not",), ("not", ("all",), ("all",)), ("path",), ("all", "path")),
        *(("source-network", b"abc", 1), ("source-network", b"abcd", 33), ("all", None)),
    ],
)
def test_what_is_no_tree_is_refused(tree: Tree) -> None:
    with pytest.raises(ValueError):
        Matcher(tree)
