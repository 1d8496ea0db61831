"""Which rule of a table decides: what the trees of its paths and hosts find, beside a look at every condition
in its order.
"""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.regex import Regex
from linkerd2_py._ext.policy.route_table import RouteTable, TableDraft
from linkerd2_py._ext.policy.testing import holds, plan_for

# Few bytes, so that texts share beginnings, end within one another, and differ in their last byte.
SEGMENTS = st.lists(st.sampled_from([b"a", b"b", b"ab", b"aa", b"", b"A", b"\xff"]), max_size=5)
PATHS = SEGMENTS.map(lambda segments: b"/" + b"/".join(segments))
REGEXES = st.sampled_from([b"/a.*", b"/a/b", b"/(a|b)/.*", b".*", b"/ab/[^/]*", b"/a/b?"])
LABELS = st.lists(st.sampled_from([b"a", b"b", b"ab", b"A"]), min_size=1, max_size=4)
HOSTS = LABELS.map(b".".join)
FIELDS = st.sampled_from(
    [(b"host", b"1"), (b"Host", b"2"), (b"x-a", b"1"), (b"X-B", b"1"), (b"l5d-client-id", b"1"),
     (b"l5d_client_id", b"1"), (b"l5d-other", b"1")]
)  # fmt: skip

LEAVES = st.one_of(
    PATHS.map(match.path),
    PATHS.map(match.path_prefix),
    REGEXES.map(lambda text: match.path_regex(Regex(text))),
    HOSTS.map(match.host),
    HOSTS.map(match.host_below),
    st.sampled_from([b"GET", b"PUT"]).map(match.method),
    FIELDS.map(lambda field: match.header(*field)),
    st.builds(match.http2),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, max_size=4).map(match.all_of),
        st.lists(parts, max_size=3).map(match.any_of),
        parts.map(match.inverse),
    ),
    max_leaves=6,
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, object]:
    query = draw(st.sampled_from([b"", b"?", b"?/a/b"]))
    port = draw(st.sampled_from([b"", b":80", b".", b".:80"]))
    return {
        "path": draw(st.one_of(PATHS, st.sampled_from([b"*", b""]))) + query,
        "method": draw(st.sampled_from([b"GET", b"PUT"])),
        "fields": draw(st.lists(FIELDS, max_size=3)),
        "authority": draw(st.one_of(HOSTS, st.just(b""))) + port,
    }


def looked_for(
    conditions: Sequence[Condition], plans: Sequence[Plan], request: dict[str, object]
) -> Plan | None:
    """The model."""
    found = (holds(condition, **request) for condition in conditions)  # type: ignore[arg-type]
    return next((plan for plan, one in zip(plans, found, strict=True) if one), None)


@given(st.lists(CONDITIONS, max_size=12), st.lists(requests(), min_size=1, max_size=8))
def test_the_first_that_holds_decides(
    conditions: list[Condition], asked: list[dict[str, object]]
) -> None:
    plans = [Plan() for _ in conditions]
    table = RouteTable(zip(conditions, plans, strict=True))
    for request in asked:
        expected = looked_for(conditions, plans, request)
        assert plan_for(table, **request) is expected, request  # type: ignore[arg-type]


@given(st.data())
def test_a_large_table_is_no_different(data: st.DataObject) -> None:
    """Of each condition there are many, of which the first decides."""
    conditions = data.draw(st.lists(CONDITIONS, min_size=1, max_size=30))
    numbers = data.draw(st.lists(st.integers(0, len(conditions) - 1), max_size=300))
    plans = [Plan() for _ in numbers]
    draft = TableDraft()
    for number, plan in zip(numbers, plans, strict=True):
        draft.add(conditions[number], plan)
    table = draft.finished()
    for request in data.draw(st.lists(requests(), min_size=1, max_size=4)):
        expected = looked_for([conditions[number] for number in numbers], plans, request)
        assert plan_for(table, **request) is expected, request  # type: ignore[arg-type]
