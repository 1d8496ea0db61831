"""The story of `local up`: the sample in two proxies a hop, its fault found, scaled, stopped; on loopback
addresses and in network namespaces alike.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from linkerd2_py.controlplane.local.supervise.launcher import SAMPLE_MESH_FILE
from tests.integration.local.load_tools import Doors, run_all
from tests.integration.local.mesh_cli import MODES, MeshCli, assert_ended, mesh_up, replace
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

REPLICAS = {"web": 1, "emoji": 2, "voting": 2, "chat": 1, "vote-bot": 1}
TRAFFIC_S = 60.0


@pytest.fixture(scope="module", params=MODES)
def cli(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MeshCli]:
    """One running mesh for all tests of this file, from a copy of the sample's file, in either mode."""
    with mesh_up(
        tmp_path_factory.mktemp(request.param),
        {"mesh.yaml": SAMPLE_MESH_FILE.read_text()},
        mode=request.param,
    ) as made:
        yield made


def _stats(cli: MeshCli, *words: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in cli.json("stat", *words)}


def _page(cli: MeshCli) -> str:
    return str(cli.state()["links"]["web-svc"])


def test_every_workload_is_meshed_and_only_the_planted_one_fails(cli: MeshCli) -> None:
    def rows() -> dict[str, dict[str, Any]] | None:
        found = _stats(cli, "deploy", "-t", "30s")
        busy = found.keys() == REPLICAS.keys() and all(row["rps"] for row in found.values())
        return found if busy and found["voting"]["success"] < 1 else None

    found = eventually(rows, deadline_s=TRAFFIC_S, what="traffic at every workload")
    assert found is not None
    assert {name: row["meshed"] for name, row in found.items()} == {
        name: f"{count}/{count}" for name, count in REPLICAS.items()
    }
    assert {name for name, row in found.items() if row["success"] < 1} == {"voting"}


def test_everything_between_workloads_is_secured(cli: MeshCli) -> None:
    """Whoever calls: HTTP/1, gRPC, WebSocket, the opaque feed, and who comes in through the ingress."""
    expected = {
        (client, server)
        for client, servers in {
            "web": {"emoji", "voting", "chat", "vote-bot"},
            "vote-bot": {"web", "chat"},
        }.items()
        for server in servers
    }

    def edges() -> list[dict[str, str]] | None:
        found = cli.json("edges", "deploy", "-n", "emojivoto")
        return found if {(edge["src"], edge["dst"]) for edge in found} == expected else None

    found = eventually(edges, deadline_s=TRAFFIC_S, what="connections between all workloads")
    assert found is not None
    assert [(edge["client_id"], edge["server_id"]) for edge in found] == [
        (f"{edge['src']}.emojivoto", f"{edge['dst']}.emojivoto") for edge in found
    ]
    assert {edge["no_tls_reason"] for edge in found} == {""}
    with httpx2.Client(base_url=_page(cli), trust_env=False, timeout=10 * patience()) as person:
        assert person.get("/").status_code == 200
    shares = {row["name"]: row["tls"] for row in cli.json("stat", "deploy")}
    assert shares == pytest.approx(dict.fromkeys(REPLICAS, 1.0), abs=1e-9)


def test_check_passes(cli: MeshCli) -> None:
    out = cli.ok("check", "--wait", "30s")
    assert "×" not in out
    assert "‼" not in out
    assert out.endswith("Status check results are √\n")


def test_the_page_and_its_votes_go_through_the_mesh(cli: MeshCli) -> None:
    with httpx2.Client(base_url=_page(cli), trust_env=False, timeout=10 * patience()) as person:
        page = person.get("/")
        assert (page.status_code, "Emoji vote" in page.text) == (200, True)
        assert person.post("/api/vote/joy").json()["counted"] is True
        refused = person.post("/api/vote/doughnut")
        assert refused.status_code == 200
        assert refused.json() == {"counted": False, "reason": "UNKNOWN: ballot has a hole in it"}
        assert person.post("/api/vote/nothing").status_code == 404


def test_the_tools_find_the_fault(cli: MeshCli) -> None:
    callers = eventually(
        lambda: _stats(cli, "deploy", "--to", "deploy/voting"), deadline_s=TRAFFIC_S
    )
    assert set(callers) == {"web"}
    assert callers["web"]["success"] < 1
    asked = _stats(cli, "au", "--from", "deploy/web")
    failing = {
        name for name, row in asked.items() if row["success"] is not None and row["success"] < 1
    }
    assert failing == {"voting-svc.emojivoto.svc.cluster.local:8080"}
    metrics = cli.ok("diagnostics", "proxy-metrics", "deploy/voting")
    assert re.search(
        r'^response_total\{[^}]*classification="failure"[^}]*grpc_status="2"', metrics, re.MULTILINE
    )
    assert "VoteDoughnut failed: UNKNOWN" in cli.ok("local", "logs", "deploy/voting", "-c", "app")


def test_routes_and_hunt_name_the_method(cli: MeshCli) -> None:
    def failing() -> set[str]:
        (table,) = cli.json("routes", "deploy/voting").values()
        return {row["route"] for row in table if row["rps"] and row["success"] < 1}

    found = eventually(failing, deadline_s=TRAFFIC_S, what="requests of every route")
    assert found == {"VoteDoughnut"}
    hunted = cli.run("hunt", "deploy/voting", "-o", "json")
    assert hunted.status == 1
    first = json.loads(hunted.out)["findings"][0]
    assert "VoteDoughnut fails with UNKNOWN on both replicas" in first["sentence"]


def test_live_calls_are_seen(cli: MeshCli) -> None:
    """By tap, each call in three events; by top, all that are alike in one row."""
    path = "/emojivoto.v1.VotingService/VoteDoughnut"
    with cli.lines("tap", "deploy/voting", "--path", path) as lines:
        told = list(itertools.islice(lines, 3))
    assert [line.split()[0] for line in told] == ["req", "rsp", "end"], told
    assert f":path={path}" in told[0]
    assert "tls=true" in told[0]
    assert "grpc-status=Unknown" in told[2]
    with cli.lines("top", "deploy/voting") as lines:
        row = next(line for line in lines if path in line)
    assert row.split()[1].startswith("voting-")
    assert row.split()[-1] == "0.00%"


def test_a_profile_is_learned_from_live_calls(cli: MeshCli) -> None:
    words = ("--tap", "deploy/voting", "--tap-duration", "5s")
    learned = yaml.safe_load(cli.ok("profile", "voting-svc", *words))
    assert learned["metadata"]["name"] == "voting-svc.emojivoto.svc.cluster.local"
    assert {route["condition"]["method"] for route in learned["spec"]["routes"]} == {"POST"}


def test_the_dashboard_is_served(cli: MeshCli) -> None:
    url, _, token = cli.ok("dashboard", "--show", "url").strip().partition("#token=")
    assert len(token) == 64
    page = httpx2.get(url, trust_env=False, timeout=10 * patience())
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_websocket_and_the_feed_work(cli: MeshCli) -> None:
    def done() -> dict[str, int] | None:
        bot = httpx2.get(f"{_page(cli)}api/view", trust_env=False, timeout=10 * patience()).json()[
            "bot"
        ]
        return bot if bot.get("messages") and bot.get("lines") else None

    bot = eventually(done, deadline_s=TRAFFIC_S)
    assert bot is not None
    assert bot.get("failed", 0) == 0


def test_scaling_under_load_fails_no_request(cli: MeshCli) -> None:
    statuses: Counter[int | str] = Counter()
    stop = threading.Event()

    def load() -> None:
        with httpx2.Client(base_url=_page(cli), trust_env=False, timeout=10 * patience()) as client:
            while not stop.is_set():
                try:
                    statuses[client.get("/").status_code] += 1
                except httpx2.HTTPError as error:
                    statuses[repr(error)] += 1

    clients = [threading.Thread(target=load) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        for count in (4, 1, REPLICAS["voting"]):
            _scale(cli, {"voting": count})
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert set(statuses) == {200}, f"{statuses}\n{cli.logs()}"


@pytest.mark.skipif(
    not all(map(shutil.which, ("wrk", "hey", "h2load"))), reason="load tools are not installed"
)
def test_load_tools_meet_no_error_while_replicas_come_and_go(cli: MeshCli, tmp_path: Path) -> None:
    links = cli.state()["links"]
    doors = Doors(web=links["web-svc"], emoji=links["emoji-svc"])
    problems: list[str] = []
    scaled = threading.Event()

    def load() -> None:
        while not (scaled.is_set() or problems):
            problems.extend(run_all(doors, scratch=tmp_path))

    loading = threading.Thread(target=load)
    loading.start()
    try:
        _scale(cli, {"web": 3, "emoji": 3, "voting": 1})
        _scale(cli, REPLICAS)
    finally:
        scaled.set()
        loading.join()
    assert not problems, "\n".join([*problems, cli.logs()])


def test_down_leaves_nothing(cli: MeshCli) -> None:
    family = cli.family()
    cli.ok("local", "down")
    assert_ended(family)
    # Not by their addresses: another mesh of this machine may have them by now.
    assert cli.left() == []
    assert {path.name for path in (cli.root / "state").iterdir()} == {"lock", "logs"}


def test_without_a_file_the_sample_starts_and_says_how_to_find_its_fault(tmp_path: Path) -> None:
    made = MeshCli(tmp_path)
    try:
        out = made.ok("local", "up", "--detach", timeout_s=120)
        assert re.search(r"Open the page:  http://127\.0\.0\.1:\d+/", out)
        assert "linkerd2-py stat deploy" in out
        assert json.loads(made.ok("stat", "deploy", "-o", "json"))
    finally:
        made.stop()


def _scale(cli: MeshCli, replicas: Mapping[str, int]) -> None:
    """Edit the file and wait until the pods are what it says."""
    path = cli.root / "mesh.yaml"
    mesh = yaml.safe_load(path.read_text())
    for name, count in replicas.items():
        mesh["workloads"][name]["replicas"] = count
    replace(path, yaml.safe_dump(mesh))

    def done() -> bool:
        return all(_ready(cli, name) == count for name, count in replicas.items())

    eventually(done, deadline_s=60, what=f"pods as in {replicas}")


def _ready(cli: MeshCli, workload: str) -> int:
    pods = [pod for pod in cli.json("get", "pods") if pod["owner"] == f"deploy/{workload}"]
    settled = all(pod["status"] == "Running" and pod["proxy_ready"] for pod in pods)
    return len(pods) if settled else -1
