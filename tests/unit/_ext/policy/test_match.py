"""Conditions on heads, and which rule of a table decides."""

import re
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.exchange.plan import Plan, ResponseClasses
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.regex import Regex
from linkerd2_py._ext.policy.route_table import NamedRoutes, RouteTable
from linkerd2_py._ext.policy.rules import RULES_MAX
from linkerd2_py._ext.policy.testing import counts_as, holds, plan_for

YES, NO = match.all_of([]), match.any_of([])


@pytest.mark.parametrize(
    ("condition", "path", "expected"),
    [
        (match.path(b"/a"), b"/a", True),
        (match.path(b"/a"), b"/a?b=c", True),
        (match.path(b"/a"), b"/a/", False),
        (match.path(b"/a"), b"/A", False),
        (match.path_prefix(b"/a"), b"/a", True),
        (match.path_prefix(b"/a"), b"/a/b?c", True),
        (match.path_prefix(b"/a"), b"/ab", False),
        (match.path_prefix(b"/a/"), b"/a", True),
        (match.path_prefix(b"/"), b"/anything", True),
        (match.path_prefix(b"/"), b"*", False),
        (match.path_regex(Regex(b"/a/[0-9]+")), b"/a/12?x", True),
        (match.path_regex(Regex(b"/a/[0-9]+")), b"/a/x", False),
        (match.path_regex(Regex(rb"/a\.b")), b"/a.b", True),
        (match.path_regex(Regex(rb"/a\.b")), b"/axb", False),
        (match.method(b"GET"), b"/", True),
        (match.method(b"get"), b"/", False),
    ],
)
def test_the_request_line(condition: Condition, path: bytes, expected: bool) -> None:
    assert holds(condition, path) is expected


def test_the_method_is_compared_whole() -> None:
    assert holds(match.method(b"PROPFIND"), method=b"PROPFIND")
    assert not holds(match.method(b"PUT"), method=b"P")


@pytest.mark.parametrize(
    ("authority", "is_web", "is_below"),
    [
        (b"web.shop", True, True),
        (b"WEB.shop:80", True, True),
        (b"web.shop.", True, True),
        (b"web.shop.:8080", True, True),
        (b"a.web.shop", False, True),
        (b"shop:80", False, False),
        (b".shop", False, False),
        (b"webshop", False, False),
        (b"web.shop1", False, False),
        (b"10.0.0.1", False, False),
        (b"[::1]:80", False, False),
        (b":80", False, False),
        (b"", False, False),
    ],
)
def test_hosts_are_names_without_ports(authority: bytes, is_web: bool, is_below: bool) -> None:
    assert holds(match.host(b"Web.Shop."), authority=authority) is is_web
    assert holds(match.host_below(b"Shop"), authority=authority) is is_below
    assert holds(match.host(authority.partition(b":")[0] or b"x"), authority=authority) is (
        authority[:1] not in {b"[", b":", b""}
    )


def test_some_field_of_a_name_has_the_value() -> None:
    fields = [(b"X-Canary", b"no"), (b"x-canary", b"yes"), (b"x-can", b"1")]
    assert holds(match.header(b"X-CANARY", b"yes"), fields=fields)
    assert holds(match.header(b"x-canary", Regex(b"ye.")), fields=fields)
    assert not holds(match.header(b"x-canary", b"y"), fields=fields)
    assert not holds(match.header(b"x-canar", b"yes"), fields=fields)


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        (b"a", b"1", b"/?a=1", True),
        (b"a", b"1", b"/?b=2&a=1&c", True),
        (b"a", b"1", b"/?a=12", False),
        (b"a", b"1", b"/a=1", False),
        (b"a", b"", b"/?a", True),
        (b"a b", b"1 2", b"/?a+b=1%202", True),
        (b"a", b"%zz", b"/?a=%zz", True),
        (b"a", Regex(b"[0-9]+ x"), b"/?a=12+x", True),
        (b"a", Regex(b"[0-9]+"), b"/?a=1x", False),
    ],
)
def test_parameters_of_the_query(
    name: bytes, value: bytes | Regex, path: bytes, expected: bool
) -> None:
    assert holds(match.query(name, value), path) is expected


@given(st.text(alphabet="ab=&+%2F1 ", max_size=12), st.sampled_from(["a", "b", "", "a b"]))
def test_parameters_are_decoded_as_forms_are(query: str, name: str) -> None:
    # Bytes that are no text are compared, too.
    pairs = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    values = {value for found, value in pairs if found == name}
    for value in {*values, "", "1", "a"}:
        condition = match.query(name.encode(), value.encode("latin-1"))
        assert holds(condition, f"/?{query}".replace(" ", "+").encode()) is (value in values)


def test_conditions_of_conditions() -> None:
    assert holds(match.all_of([YES, match.inverse(NO), match.any_of([NO, YES])]))
    assert not holds(match.all_of([YES, match.any_of([NO, match.all_of([YES, NO])]), YES]))
    assert holds(match.inverse(match.inverse(YES)))


TREES = st.recursive(
    st.booleans(),
    lambda parts: st.one_of(
        st.tuples(st.just("all"), st.lists(parts, max_size=3)),
        st.tuples(st.just("any"), st.lists(parts, max_size=3)),
        st.tuples(st.just("not"), parts),
    ),
    max_leaves=12,
)


def built(tree: object) -> tuple[Condition, bool]:
    """The condition, and what it says."""
    if isinstance(tree, bool):
        return (YES, True) if tree else (NO, False)
    assert isinstance(tree, tuple)
    kind, parts = tree
    if kind == "not":
        condition, says = built(parts)
        return match.inverse(condition), not says
    found = [built(part) for part in parts]
    conditions, said = [one for one, _ in found], [one for _, one in found]
    if kind == "all":
        return match.all_of(conditions), all(said)
    return match.any_of(conditions), any(said)


@given(TREES)
def test_any_tree_means_what_it_says(tree: object) -> None:
    condition, says = built(tree)
    assert holds(condition) is says


def test_conditions_are_bounded() -> None:
    deep = YES
    with pytest.raises(ValueError, match="nested"):
        for _ in range(100):
            deep = match.inverse(deep)
    with pytest.raises(ValueError, match="steps"):
        match.all_of([YES] * 5000)
    with pytest.raises(TypeError):
        Condition()


def test_the_first_rule_that_holds_decides() -> None:
    plans = [Plan() for _ in range(4)]
    one, two, all_others, nobody = plans
    table = RouteTable(
        [
            (match.path(b"/one"), one),
            (match.path_prefix(b"/two"), two),
            (match.path(b"/one"), nobody),
        ],
        otherwise=all_others,
    )
    assert table.count == 3
    assert plan_for(table, b"/one?x") is one
    assert plan_for(table, b"/two/2") is two
    assert plan_for(table, b"/three") is all_others
    assert plan_for(RouteTable([(NO, one)])) is None


def test_a_table_is_bounded() -> None:
    with pytest.raises(ValueError, match=re.escape(f"more than {RULES_MAX}")):
        RouteTable([(YES, Plan())] * (RULES_MAX + 1))
    with pytest.raises(TypeError):
        RouteTable([(YES, None)])  # type: ignore[list-item]


def test_what_statuses_count_as() -> None:
    classes = ResponseClasses(told=1 << 200 | 1 << 599, failures=1 << 404)
    said = {status: counts_as(classes, status) for status in (200, 404, 500, 599, 999, 1000, -1)}
    assert said == {
        200: "success", 404: "failure", 500: None, 599: "success", 999: None, 1000: None, -1: None,
    }  # fmt: skip


def test_tables_by_name_come_and_go() -> None:
    named = NamedRoutes()
    named.install(b"web:80", RouteTable())
    assert named.names() == [b"web:80"]
    named.remove(b"web:80")
    named.remove(b"web:80")
    assert named.names() == []
