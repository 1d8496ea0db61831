"""Events as lines: Linkerd's words, and nothing that a terminal would obey."""

import json
from typing import Any

import pytest

from linkerd2_py.cli import jsonpath
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.render import tap as render
from tests.support.golden import assert_golden
from tests.support.tap_events import BUSY, exchange

STORY = [
    *exchange("a.0.1", path="/emojivoto.v1.VotingService/VoteDoughnut", method="POST", grpc=2),
    *exchange("a.0.2", path="/slow", micros=2_500_000, route="GET /slow", direction="OUTBOUND"),
    *exchange("a.0.3", path="/gone", reset=8),
    *exchange("a.0.4", direction="UNKNOWN")[:1],
]


def text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_linkerds_own_events_are_said_in_its_words() -> None:
    plain = text(*map(render.line_of, BUSY))
    assert_golden("cli/tap/busy.txt", plain)
    wide = text(*(render.line_of(event, wide=True) for event in BUSY))
    assert_golden("cli/tap/busy_wide.txt", wide)
    assert_golden("cli/tap/busy_json.txt", text(*map(render.json_of, BUSY)))
    steps = jsonpath.parse_path("{.source}")
    found = [
        render.json_text(one)
        for event in BUSY
        for one in jsonpath.find(render.as_json(event), steps)
    ]
    assert_golden("cli/tap/busy_jsonpath.txt", text(*found))


def test_every_kind_of_event_has_its_line() -> None:
    assert_golden("cli/tap/story.txt", text(*(render.line_of(event, wide=True) for event in STORY)))


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b2J", "\r\n", "\u202e", "\x7f", "\ud800", "\x00"])
def test_nothing_that_a_terminal_would_obey_is_written(evil: str) -> None:
    event: dict[str, Any] = exchange("a", path=f"/{evil}", source=evil, route=evil)[0]
    event["requestInitEvent"]["headers"] = [{"name": evil, "valueStr": evil}]
    assert render.line_of(event, wide=True).isprintable()
    written = render.json_of(event)
    assert all(one == "\n" or one.isprintable() for one in written)
    assert json.loads(written)["requestInitEvent"]["path"] == f"/{evil}"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("{.source.ip}", ["0.0.0.1"]),
        (".source.ip", ["0.0.0.1"]),
        ("source.ip", ["0.0.0.1"]),
        ("{source['ip']}", ["0.0.0.1"]),
        ("{.requestInitEvent.headers[1].name}", ["header-name-2"]),
        ("{.requestInitEvent.headers[*].name}", ["header-name-1", "header-name-2"]),
        ("{.requestInitEvent.headers[7].name}", []),
        ("{.responseInitEvent.httpStatus}", []),
        ("{.destination.metadata.*}", ["my-pod", "true"]),
    ],
)
def test_a_path_names_parts_of_an_event(path: str, found: list[str]) -> None:
    assert list(jsonpath.find(render.as_json(BUSY[0]), jsonpath.parse_path(path))) == found


@pytest.mark.parametrize("path", ["", "{}", "{.a", "a b", "{.a[}", "{range .items}", "{.a}{.b}"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(CliError, match="jsonpath"):
        jsonpath.parse_path(path)
