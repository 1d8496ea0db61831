"""Questions as PromQL."""

import pytest

from linkerd2_py.controlplane.metrics.prometheus import promql
from linkerd2_py.controlplane.metrics.store import Selection

SELECTION = Selection(
    {"direction": "inbound"}, ("namespace", "pod"), present=("deployment",), without={"tls": "x"}
)


def test_an_increase() -> None:
    asked = promql.sum_increase("response_total", selection=SELECTION, length_ms=60_000)
    assert asked == (
        'sum(increase(response_total{direction="inbound", deployment!="", tls!="x"}[60000ms])'
        " <= 18446744073709551616) by (namespace, pod)"
    )


def test_a_quantile() -> None:
    asked = promql.quantile("b", selection=Selection(), length_ms=1500, wanted=0.95)
    assert asked == (
        "histogram_quantile(0.95, sum(rate(b{}[1500ms]) <= 18446744073709551616) by (le))"
    )


def test_what_is_newest() -> None:
    assert promql.latest("g", selection=Selection()) == "sum(g{} <= 18446744073709551616) by ()"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("web", '"web"'),
        ('a"} or up{b="', r'"a\"} or up{b=\""'),
        ("back\\slash", r'"back\\slash"'),
        ("two\nlines", r'"two\nlines"'),
        ("ünïcode", '"ünïcode"'),
    ],
)
def test_no_value_ends_its_text(value: str, written: str) -> None:
    assert promql.quoted(value) == written
