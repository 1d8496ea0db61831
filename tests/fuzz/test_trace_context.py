"""Whatever stands in the fields that name a trace: what is understood is passed on with one span in another's
place and nothing else changed.
"""

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.observers.testing import read, renamed

OURS = "0123456789abcdef"
NAMES = [
    "traceparent",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-other",
]
digits = st.text("0123456789abcdefABCDEF-", max_size=40)
part = st.one_of(
    st.sampled_from(["00", "01", "1", "0", "d", "true", "4bf92f3577b34da6a3ce929d0e0e4736"]),
    st.sampled_from(["00f067aa0ba902b7", "0" * 16, "0" * 32, "F" * 16, "f" * 32]),
    digits,
    st.text(max_size=3),
)
value = st.lists(part, min_size=1, max_size=5).map("-".join)
heads = st.lists(st.tuples(st.sampled_from(NAMES), value), max_size=6)


@given(head=heads)
def test_only_the_span_is_another(head: list[tuple[str, str]]) -> None:
    fields = [(name.encode(), text.encode()) for name, text in head]
    found = read(fields)
    passed_on = renamed(fields, bytes.fromhex(OURS))
    if found is None or passed_on is None:
        assert passed_on is None
        assert found is None or found == (b"", b"", False)
        return
    trace, span, sampled = found
    assert sampled
    assert any(trace) and any(span)
    assert read(passed_on) == (trace, bytes.fromhex(OURS), sampled)
    changed = [
        (before, after)
        for (name, before), (same, after) in zip(fields, passed_on, strict=True)
        if before != after or name != same
    ]
    assert len(changed) <= 1
    for before, after in changed:
        assert before.lower() == after.replace(OURS.encode(), span.hex().encode()).lower()
        assert after.count(OURS.encode()) >= 1
