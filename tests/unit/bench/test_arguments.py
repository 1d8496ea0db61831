"""The command line: what is understood, and that a mistake is one line that helps."""

from pathlib import Path

import pytest

from bench.arguments import parse
from bench.scenarios import ALL
from bench.subjects import PEERS


def test_by_default_everything_is_measured() -> None:
    options = parse([])
    assert options.scenarios == tuple(ALL)
    assert options.peers == PEERS
    assert not options.effort.smoke


def test_efforts_differ() -> None:
    full, quick, smoke = parse([]).effort, parse(["--quick"]).effort, parse(["--smoke"]).effort
    assert full.passes > quick.passes > smoke.passes == 1
    assert full.seconds > quick.seconds > smoke.seconds
    assert smoke.smoke


def test_everything_can_be_chosen(tmp_path: Path) -> None:
    words = [
        "idle",
        "start",
        "idle",
        "--peers",
        "nginx, envoy",
        "--passes",
        "2",
        "--seconds",
        "0.5",
    ]
    words += ["--json", "a.json", "--html", "a.html", "--peer", "linkerd2-proxy=/opt/proxy"]
    options = parse(words)
    assert options.scenarios == ("idle", "start")
    assert options.peers == ("nginx", "envoy")
    assert (options.effort.passes, options.effort.seconds) == (2, 0.5)
    assert (options.json, options.html) == (Path("a.json"), Path("a.html"))
    assert options.given == Path("/opt/proxy")


def test_no_peers_may_be_wanted() -> None:
    assert parse(["--peers", ""]).peers == ()


@pytest.mark.parametrize(
    ("words", "helpful"),
    [
        (["http1-46"], ["unknown scenario 'http1-46'", "did you mean http1-64?", "start"]),
        (["--peers", "ngnix"], ["unknown peer 'ngnix'", "did you mean nginx?", "traefik"]),
        (["--peer", "/opt/proxy"], ["linkerd2-proxy=PATH"]),
        (["--passes", "0"], ["whole number above 0"]),
        (["--seconds", "-1"], ["above 0"]),
        (["--seconds", "soon"], ["above 0"]),
        (["--quick", "--smoke"], ["--quick"]),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    words: list[str], helpful: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in helpful:
        assert part in line
