"""The table of what balancers believe, from whatever a proxy says."""

from __future__ import annotations

from typing import Any

import pytest

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.metrics import Section
from linkerd2_py.cli.proxy_endpoints import _parsed
from linkerd2_py.cli.render.endpoints import endpoints_table

ENDPOINT: dict[str, Any] = {
    "address": "10.1.0.1:8080",
    "pod": "web-0",
    "zone": "eu-1.a",
    "preferred": True,
    "weight": 2.5,
    "state": "open",
    "open_s": 12.34,
    "rtt_ms": 1.26,
    "in_flight": 3,
    "load_ms": 5.04,
    "failing": 0.5,
}


def table(*endpoints: Any) -> list[list[str]]:
    made = endpoints_table([("caller-0", [{"logical": "web:80", "endpoints": list(endpoints)}])])
    return [line.split() for line in made.splitlines()]


def test_each_endpoint_has_a_line() -> None:
    heads, line = table(ENDPOINT)
    assert heads[:4] == ["POD", "TARGET", "ENDPOINT", "OF"]
    assert line == [
        *("caller-0", "web:80", "10.1.0.1:8080", "web-0", "eu-1.a", "(own)", "2.5"),
        *("open", "12.3s", "3", "1.3ms", "5.0ms", "50%"),
    ]


def test_one_of_which_nothing_is_known() -> None:
    plain = ENDPOINT | {"state": "ready", "open_s": None, "failing": 0.0, "preferred": False}
    assert table(plain | {"zone": "", "pod": ""})[1][3:8] == ["-", "-", "2.5", "ready", "3"]


@pytest.mark.parametrize("hostile", [None, [], {}, True, "\x1b[2J", "a\nb", float("nan"), 10**400])
@pytest.mark.parametrize("name", list(ENDPOINT))
def test_whatever_a_proxy_says_is_one_line_that_no_terminal_obeys(name: str, hostile: Any) -> None:
    made = endpoints_table(
        [("p", [{"logical": hostile, "endpoints": [ENDPOINT | {name: hostile}]}])]
    )
    assert len(made.splitlines()) == 2
    assert "\x1b" not in made


@pytest.mark.parametrize(
    "said", ["", "[]", "{}", "null", '{"targets": 1}', '{"targets": [1]}', '{"targets": [{}]}',
             '{"targets": [{"endpoints": [1]}]}', "[" * 100_000]
)  # fmt: skip
def test_what_is_none_of_it_is_said_so(said: str) -> None:
    with pytest.raises(CliError, match="its proxy says"):
        _parsed(Section("web-0", "", lambda: said))
