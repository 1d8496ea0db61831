"""Which route a connection follows by the name that it asks for, and which of its ways it takes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.policy.connections import ConnectionRoute, ConnectionRoutes, ConnectionWay
from linkerd2_py._ext.policy.testing import connection_route, connection_way


def route() -> ConnectionRoute:
    return ConnectionRoute([ConnectionWay()])


def test_without_names_all_follow_one() -> None:
    one = route()
    routes = ConnectionRoutes(otherwise=one)
    assert connection_route(routes, None) is one
    assert connection_route(routes, b"a.test") is one
    assert connection_route(ConnectionRoutes(), None) is None


def test_whole_names_go_before_endings_and_long_ones_before_short_ones() -> None:
    whole, long, short, rest = (route() for _ in range(4))
    names = [("*.test", short), ("*.b.test", long), ("a.b.test", whole), ("A.B.TEST", rest)]
    routes = ConnectionRoutes(names, otherwise=rest, by_name=True)
    found = {
        b"a.b.test": whole,
        b"c.b.test": long,
        b"d.c.b.test": long,
        b"b.test": short,
        b"test": rest,
        b"xtest": rest,
        b"a.tests": rest,
    }
    assert {name: connection_route(routes, name) for name in found} == found
    assert connection_route(routes, None) is None
    assert connection_route(ConnectionRoutes(names, by_name=True), b"else") is None


LABELS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map(".".join)


@given(st.lists(st.tuples(st.booleans(), LABELS), max_size=8), LABELS)
def test_the_order_is_that_of_the_gateway_api(said: list[tuple[bool, str]], asked: str) -> None:
    """Against all of them compared with one another, the first of equals."""
    names = [(f"*.{name}" if ending else name, route()) for ending, name in said]
    otherwise = route()
    best, found = (-1, -1), otherwise
    for (ending, name), (_, one) in zip(said, names, strict=True):
        means = asked.endswith(f".{name}") if ending else asked == name
        rank = (0 if ending else 1, len(name))
        if means and rank > best:
            best, found = rank, one
    routes = ConnectionRoutes(names, otherwise=otherwise, by_name=True)
    assert connection_route(routes, asked.encode()) is found


def test_ways_are_drawn_by_weight() -> None:
    first, second = ConnectionWay(weight=3), ConnectionWay(weight=1, refusal="forbidden")
    made = ConnectionRoute([first, ConnectionWay(weight=0), second])
    assert len(made.ways) == 2
    drawn = Counter(connection_way(made).refused for _ in range(4000))
    assert 2700 < drawn[False] < 3300


@pytest.mark.parametrize("ways", [[], [ConnectionWay(weight=0)], [ConnectionWay(weight=2**33)]])
def test_some_way_must_be_left(ways: list[ConnectionWay]) -> None:
    with pytest.raises(ValueError, match="some way"):
        ConnectionRoute(ways)


def test_what_may_be_said_of_a_refusal() -> None:
    with pytest.raises(ValueError, match=r"."):
        ConnectionWay(refusal="because")
    assert ConnectionWay(refusal="invalid_backend", text="no\nsuch").text == b"no such"


def test_plain_is_what_needs_no_look_and_no_draw() -> None:
    assert ConnectionRoutes(otherwise=route()).plain
    assert not ConnectionRoutes(otherwise=route(), by_name=True).plain
    assert not ConnectionRoutes(otherwise=ConnectionRoute([ConnectionWay()] * 2)).plain
    refused = ConnectionRoute([ConnectionWay(refusal="forbidden")])
    assert not ConnectionRoutes(otherwise=refused).plain
    assert not ConnectionRoutes().plain
