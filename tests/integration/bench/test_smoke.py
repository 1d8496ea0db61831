"""The harness end to end: real subjects, real traffic, tiny passes. No figure is judged, only that all is
right.
"""

import json
import signal
import sys
from pathlib import Path

import pytest

from bench.scenarios import ALL
from tests.support.processes import Child, assert_gone

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PEERS = "nginx,haproxy"
SCENARIOS = {
    "http1-64": {"ours", "relay", "nginx", "haproxy", "direct"},
    "http2-4x32": {"ours", "relay", "haproxy", "direct"},
    "grpc-streaming": {"ours", "haproxy"},
    "http1-over-http2": {"ours-pair", "direct"},
    "websocket": {"ours", "nginx", "haproxy"},
    "tls-leg": {"ours-pair", "nginx-pair", "haproxy-pair"},
    "tls-handshakes": {"ours-inbound", "nginx", "nginx-one-sided", "haproxy"},
    "tls-resumed": {"ours-inbound", "nginx", "haproxy"},
    "tls-idle": {"ours-inbound", "nginx", "haproxy"},
    "tcp-connect": {"ours", "haproxy"},
    "slow-1-of-10": {"ours", "nginx", "nginx-least", "haproxy", "haproxy-least"},
    "discovery-churn": {"ours", "ours-changing"},
    "scrape-full": {"ours-scraped", "ours-inbound"},
    "tap-cost": {"ours-tapped"},
    "idle": {"ours", "nginx", "haproxy"},
    "control-plane": {"ours"},
    "start": {"ours", "nginx", "haproxy"},
}


def bench(folder: Path, *words: str) -> Child:
    folder.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "bench", *words]
    env = {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    return Child.start(argv, log=folder / "log", env=env, cwd=ROOT)


@pytest.mark.timeout(180)
def test_scenarios_run_without_an_error(tmp_path: Path) -> None:
    result, report = tmp_path / "run.json", tmp_path / "run.html"
    words = [*SCENARIOS, "--smoke", "--peers", PEERS, "--json", str(result), "--html", str(report)]
    with bench(tmp_path / "bench", *words) as child:
        assert child.wait(deadline_s=150) == 0, child.output()
        output = child.output()
    rows = json.loads(result.read_text())["rows"]
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["scenario"], set()).add(row["subject"])
        assert row["errors"] == 0
        # What stands in nobody's way has no processor time.
        assert row.get(ALL[row["scenario"]].cost) is not None or row["subject"] == "direct"
    resumed = {
        (row["scenario"], row["subject"]): row.get("resumed")
        for row in rows
        if row["scenario"] in {"tls-handshakes", "tls-resumed"}
    }
    # In so short a pass on a busy machine nobody may come a second time; test_load_tls counts who does.
    assert resumed["tls-resumed", "nginx"] is not None
    assert not any(resumed[name] for name in resumed if name[0] == "tls-handshakes")
    for scenario, subjects in SCENARIOS.items():
        assert subjects <= found[scenario]
        assert f"{scenario} — " in output
    assert "verdict" not in output
    assert report.read_text().startswith("<!DOCTYPE html>")
    # When all went well, no logs are kept.
    assert [each.name for each in (tmp_path / "bench").iterdir()] == ["log"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    words = ["http1-64", "--smoke", "--seconds", "50", "--peers", "nginx"]
    with bench(tmp_path / "bench", *words) as child:
        child.wait_for_line("pass 1/1: ours", deadline_s=30)
        started = [member.pid for member in child.family()[1:]]
        assert len(started) >= 5
        child.send(number)
        assert child.wait(deadline_s=20) == 130
        assert_gone(*started)
        assert "nothing is left running" in child.output()


@pytest.mark.timeout(60)
def test_a_peer_that_does_not_come_up_is_named_and_the_others_are_measured(tmp_path: Path) -> None:
    broken = tmp_path / "linkerd2-proxy"
    broken.write_text("#!/bin/sh\necho cannot find the mesh >&2\nexit 1\n")
    broken.chmod(0o755)
    result = tmp_path / "run.json"
    words = ["http1-64", "--smoke", "--peers", "", "--json", str(result)]
    with bench(tmp_path / "bench", *words, "--peer", f"linkerd2-proxy={broken}") as child:
        assert child.wait(deadline_s=50) == 1
        assert "linkerd2-proxy FAILED" in child.output()
        assert "cannot find the mesh" in child.output()
    (verdict,) = json.loads(result.read_text())["verdicts"]
    assert "cannot find the mesh" in verdict["failed"]["linkerd2-proxy"]
    assert {row["subject"] for row in json.loads(result.read_text())["rows"]} >= {"ours", "direct"}
