"""A local mesh with a Prometheus: the same answers, a history that stays, and clear words when it is away."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from linkerd2_py.charts.observe.dashboards.boards import dashboards
from tests.integration.local.mesh_cli import MeshCli, assert_ended
from tests.support.dashboards import Asked, chosen_in
from tests.support.ports import free_address
from tests.support.prometheus import needs_prometheus, promtool
from tests.support.wait import eventually, patience

pytestmark = [needs_prometheus, pytest.mark.slow, pytest.mark.timeout(240)]

SAMPLE_WORKLOADS = {"web", "emoji", "voting", "chat", "vote-bot"}
PROGRAM = "prometheus"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    made = MeshCli(tmp_path_factory.mktemp("prometheus"))
    made.ok("local", "up", "--prometheus", "--detach", timeout_s=120)
    yield made
    made.stop()


def ask(cli: MeshCli, expression: str) -> list[dict[str, Any]]:
    """Of the mesh's Prometheus."""
    url = f"{cli.state()['prometheus']}/api/v1/query"
    with httpx2.Client(trust_env=False, timeout=10 * patience()) as client:
        answer = client.get(url, params={"query": expression}).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def prometheus_of(cli: MeshCli) -> psutil.Process:
    (found,) = [one for one in cli.family() if one.name() == PROGRAM]
    return found


def test_stat_answers_from_it(cli: MeshCli) -> None:
    def rows() -> dict[str, Any] | None:
        found = {row["name"]: row for row in cli.json("stat", "deploy", "-t", "10s")}
        busy = found.keys() == SAMPLE_WORKLOADS and all(row["rps"] for row in found.values())
        return found if busy and found["voting"]["success"] < 1 else None

    eventually(rows, deadline_s=60, what="traffic at every workload")
    assert {edge["dst"] for edge in cli.json("edges", "deploy")} == SAMPLE_WORKLOADS
    assert f"prometheus:  {cli.state()['prometheus']}" in cli.ok("local", "status")
    checked = cli.ok("check", "--wait", "60s")
    assert "√ Prometheus can scrape every proxy" in checked


def test_series_have_the_labels_that_the_mesh_knows(cli: MeshCli) -> None:
    by = "(namespace, pod, deployment, control_plane_ns, app)"
    [web] = ask(cli, f'sum(request_total{{deployment="web"}}) by {by}')
    assert web["metric"] == {
        "namespace": "emojivoto",
        "pod": "web-0",
        "deployment": "web",
        "control_plane_ns": "linkerd",
        "app": "web",
    }
    [controller] = ask(cli, 'up{job="linkerd-controller"}')
    assert (controller["metric"]["component"], controller["value"][1]) == ("public-api", "1")


def test_rules_are_evaluated(cli: MeshCli) -> None:
    recorded = eventually(
        lambda: ask(cli, "linkerd:workload_response:rate1m > 0"), deadline_s=60, what="a rule"
    )
    assert {one["metric"]["deployment"] for one in recorded} <= SAMPLE_WORKLOADS
    config = cli.root / "state" / "prometheus" / "prometheus.yml"
    assert "SUCCESS" in promtool("check", "config", str(config))


WANTED = {
    "namespace": "emojivoto",
    "deployment": "web",
    "pod": "web-0",
    "service": "voting-svc",
    "authority": "voting-svc.emojivoto.svc.cluster.local:8080",
}
# Of these there are none in a local mesh; their dashboards are those of deployments under another name.
OTHER_KINDS = {"statefulset", "daemonset", "replicaset", "replicationcontroller", "cronjob", "job"}


def unanswered(asked: Asked) -> list[str]:
    """Panels that show nothing, though they need nothing that is not always there; an expression that is
    none of PromQL is an AssertionError.
    """
    empty = []
    for board in dashboards():
        if board.name in OTHER_KINDS:
            continue
        chosen = chosen_in(asked, board, WANTED)
        for panel in board.panels:
            found = [asked.answers(query.expression, chosen) for query in panel.queries]
            if not all(found) and not panel.needs:
                empty.append(f"{board.name}: {panel.title}")
    return empty


def test_every_panel_of_every_dashboard_has_an_answer(cli: MeshCli) -> None:
    asked = Asked(cli.state()["prometheus"])
    last: list[str] = []

    def all_answered() -> bool:
        last[:] = unanswered(asked)
        return not last

    try:
        eventually(all_answered, deadline_s=60, what=f"answers: {last}")
    finally:
        asked.close()


def test_one_that_dies_is_started_again(cli: MeshCli) -> None:
    old = prometheus_of(cli)
    old.send_signal(signal.SIGKILL)
    assert_ended([old])
    eventually(
        lambda: [one for one in cli.family() if one.name() == PROGRAM],
        deadline_s=30,
        what="another prometheus",
    )

    def warned() -> bool:
        checks = json.loads(cli.run("check", "--wait", "0s", "-o", "json").out)
        found = [check for one in checks["categories"] for check in one["checks"]]
        return any("ended by SIGKILL" in check.get("error", "") for check in found)

    eventually(warned, deadline_s=30, what="a warning")


def test_history_outlives_the_mesh(cli: MeshCli) -> None:
    eventually(lambda: ask(cli, "up"), deadline_s=30, what="an answer")
    [before] = ask(cli, "min_over_time(timestamp(up{pod='web-0'})[1h:1s])")
    running = cli.family()
    cli.ok("local", "down")
    assert_ended(running)
    cli.ok("local", "up", "--prometheus", "--detach", timeout_s=120)
    after = eventually(
        lambda: ask(cli, "min_over_time(timestamp(up{pod='web-0'})[1h:1s])"), deadline_s=30
    )
    assert after is not None
    oldest = min(float(one["value"][1]) for one in after)
    assert oldest <= float(before["value"][1]) + 2
    assert cli.run("stat", "deploy", "-t", "1h").status == 0


def test_one_that_is_not_installed_is_named(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("python3", "env", "sh"):
        (bare / name).symlink_to(shutil.which(name) or "")

    class Bare(MeshCli):
        @property
        def env(self) -> dict[str, str]:
            return {**super().env, "PATH": str(bare)}

    cli = Bare(tmp_path)
    done = cli.run("local", "up", "--prometheus", "--detach", timeout_s=120)
    assert done.status == 1
    assert "linkerd2-py: prometheus is not installed" in done.err
    assert "--prometheus-url" in done.err
    assert cli.left() == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--prometheus-url", "nowhere"), "'nowhere' is not the URL of a Prometheus"),
        (("--prometheus-url", "http://x:1", "--prometheus"), "give one of them"),
    ],
)
def test_flags_that_mean_nothing(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    done = MeshCli(tmp_path).run("local", "up", *words)
    assert done.status != 0 and done.out == ""
    assert says in done.err and len(done.err.splitlines()) == 1


def test_another_one_that_is_away(tmp_path: Path) -> None:
    """The mesh works, pods are listed, and what has no samples says why."""
    host, port = free_address()
    cli = MeshCli(tmp_path)
    words = ["local", "up", "--prometheus-url", f"http://{host}:{port}", "--detach"]
    try:
        started = cli.run(*words, timeout_s=120)
        away = f"Prometheus at http://{host}:{port} does not answer"
        assert started.status == 1 and away in started.out
        assert len(cli.json("get", "pods")) == 7
        done = cli.run("stat", "deploy")
        assert done.status == 1 and done.out == ""
        assert away in done.err and len(done.err.splitlines()) == 1
        targets = json.loads((tmp_path / "state/prometheus/proxies.json").read_text())
        assert len(targets) == 7
        assert not [one for one in cli.family() if one.name() == PROGRAM]
    finally:
        cli.stop()


def test_files_are_no_other_users(cli: MeshCli) -> None:
    folder = cli.root / "state" / "prometheus"
    assert folder.stat().st_mode & 0o077 == 0
    assert folder.stat().st_uid == os.geteuid()
