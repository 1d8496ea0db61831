"""What people see of a mesh in a cluster: in the dashboard that `linkerd2-py dashboard` leads to, by commands,
and the same with the chart's Prometheus instead of samples in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from linkerd2_py.charts.observe.dashboards.boards import dashboards
from linkerd2_py.charts.observe.rules import groups
from linkerd2_py.charts.values import defaults
from tests.integration.web.conftest import PATIENCE_MS, browser, page, shown
from tests.support.cluster import programs
from tests.support.cluster.node import images
from tests.support.cluster.node.mesh import CLI, NAMESPACE, READY_S, Mesh
from tests.support.cluster.node.node import Node
from tests.support.processes import Child
from tests.support.wait import eventually

__all__ = ["browser", "page"]

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("browser")]

SAMPLE: Final = "emojivoto"
METHOD: Final = "VoteDoughnut"
PROMETHEUS: Final = f"/api/v1/namespaces/{NAMESPACE}/services/linkerd-prometheus:9090/proxy/api/v1"
WITH_ALL: Final = (
    *("--set", "prometheus.enabled=true"),
    *("--set", "grafana.externalUrl=http://grafana.example/"),
)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Observed:
    """The meshed sample. `in_memory` are answers from before there was a Prometheus, by what was asked."""

    mesh: Mesh
    in_memory: dict[tuple[str, ...], Rows]

    def asked(self, *words: str) -> Rows:
        return asked(self.mesh, *words)


QUESTIONS: Final = (
    ("stat", "deploy"),
    ("stat", "po"),
    ("stat", "svc"),
    ("routes", "deploy/voting"),
)


def asked(mesh: Mesh, *words: str) -> Rows:
    """The rows of an answer, those of routes of whatever resource they are."""
    found = json.loads(mesh.cli(*words, "-n", SAMPLE, "-o", "json"))
    rows: Rows = found if isinstance(found, list) else [row for of in found.values() for row in of]
    return rows


@pytest.fixture(scope="module")
def observed(
    node: Node, images_of_all: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observed]:
    """Installed as the README says, then upgraded to have a Prometheus."""
    mesh = Mesh(node)
    if mesh.installed():
        mesh.uninstall()
    node.kubectl.try_("wait", "--for=delete", f"namespace/{SAMPLE}", "--timeout=120s")
    mesh.install()
    mesh.apply(mesh.cli("inject", "-", stdin=mesh.cli("sample", SAMPLE)))
    try:
        wait_known(mesh)
        in_memory = {question: asked(mesh, *question) for question in QUESTIONS}
        mesh.apply(mesh.cli("upgrade", *WITH_ALL))
        mesh.wait_ready()
        wait_known(mesh)
        yield Observed(mesh, in_memory)
    finally:
        node.kubectl("delete", "namespace", SAMPLE, "--wait=false")
        # Others install what they need.
        mesh.uninstall()


@pytest.fixture(scope="module")
def images_of_all(node: Node, images: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ours, and one of the Prometheus that the chart installs."""
    if not programs.PROMETHEUS.built():
        pytest.skip("Prometheus is not built: ./mesh cluster build --pods")
    load_prometheus(node, tmp_path_factory.mktemp("prometheus"))


def load_prometheus(node: Node, folder: Path) -> None:
    program = programs.PROMETHEUS.folder() / "prometheus"
    version = programs.PROMETHEUS.version_of("github.com/prometheus/prometheus")
    about: Any = defaults()["prometheus"]["image"]  # type: ignore[index,call-overload]
    # What Prometheus calls 2.55.1 is 0.55.1 among modules.
    assert about["tag"] == f"v2{version[1:]}"
    name = f"{about['registry']}/{about['name']}:{about['tag']}"
    files = {"bin/prometheus": program}
    node.load(images.write(folder / "prometheus.tar", name, files, entry=["/bin/prometheus"]))


def wait_known(mesh: Mesh) -> None:
    """The fault is seen, and nothing that has no traffic yet looks like one."""

    def is_known() -> bool:
        rates = {row["name"]: row.get("success") for row in asked(mesh, "stat", "deploy")}
        return (rates.get("voting") or 1.0) < 1.0 and rates.get("emoji") == rates.get("web") == 1.0

    eventually(is_known, deadline_s=2 * READY_S, what="voting fails for some")


def of_prometheus(mesh: Mesh, path: str) -> Any:
    return json.loads(mesh.node.kubectl("get", f"--raw={PROMETHEUS}/{path}"))["data"]


def test_prometheus_scrapes_every_proxy_and_every_controller(observed: Observed) -> None:
    pods = observed.mesh.node.items("pods", "--all-namespaces")
    meshed = {
        one["metadata"]["name"]
        for one in pods
        if any(
            inside["name"] == "linkerd-proxy"
            for inside in (*one["spec"].get("initContainers", ()), *one["spec"]["containers"])
        )
        and "deletionTimestamp" not in one["metadata"]
    }

    def up(job: str) -> set[str]:
        found = of_prometheus(observed.mesh, "targets?state=active")["activeTargets"]
        return {
            one["labels"].get("pod", "")
            for one in found
            if (one["labels"]["job"], one["health"]) == (job, "up")
        }

    eventually(lambda: up("linkerd-proxy") >= meshed, deadline_s=READY_S, what="proxies are up")
    own = {name for name in meshed if name.startswith("linkerd-")} - {"linkerd-prometheus"}
    assert len(up("linkerd-controller")) >= len(own) - 1


def test_prometheus_has_our_rules_and_none_is_ill(observed: Observed) -> None:
    def rules() -> dict[str, set[str]]:
        found = of_prometheus(observed.mesh, "rules")["groups"]
        return {one["name"]: {rule["health"] for rule in one["rules"]} for one in found}

    expected = {one["name"]: {"ok"} for one in groups()["groups"]}
    eventually(lambda: rules() == expected, deadline_s=READY_S, what="rules were evaluated")


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_prometheus_answers_as_memory_did(observed: Observed, question: tuple[str, ...]) -> None:
    before = observed.in_memory[question]

    def shape(rows: Rows) -> list[tuple[Any, ...]]:
        return [(row.get("name", row.get("route")), *row) for row in rows]

    def kinds(rows: Rows) -> list[list[str]]:
        return [[type(value).__name__ for value in row.values()] for row in rows]

    assert shape(observed.asked(*question)) == shape(before)
    # Which of them have figures, and of what kind, but for routes that nobody asked for in that minute. A rate
    # takes two samples: a pod has none before Prometheus has come by twice.
    if question[0] == "stat":
        eventually(
            lambda: kinds(observed.asked(*question)) == kinds(before),
            deadline_s=READY_S,
            what=f"the same figures as {kinds(before)}",
        )


def test_check_knows_tap_and_prometheus(observed: Observed) -> None:
    said = observed.mesh.cli("check", "--wait", "60s")
    for line in (
        "tap API server has valid cert",
        "tap API service is running",
        "tap API service can be asked",
        "Prometheus can be asked",
        "Prometheus can scrape every proxy",
    ):
        assert f"√ {line}\n" in said
    assert "Status check results are √" in said


def test_the_fault_is_found_by_four_commands(observed: Observed, tmp_path: Path) -> None:
    mesh = observed.mesh
    rates = {row["name"]: row["success"] for row in observed.asked("stat", "deploy")}
    assert rates["voting"] < 1.0
    failing = [
        row["route"] for row in observed.asked("routes", "deploy/voting") if row["success"] == 0
    ]
    assert failing == [METHOD]
    finding = eventually(lambda: hunted_on_both(mesh), deadline_s=READY_S, what="it is found")
    assert finding["resource"] == "deploy/voting"
    path = f"/{SAMPLE}.v1.VotingService/{METHOD}"
    with started(
        mesh, "tap", "deploy/voting", "-n", SAMPLE, "--path", path, folder=tmp_path
    ) as tap:
        tap.wait_for_line(rf"req .* tls=true .*:path={path}", deadline_s=READY_S)
        tap.wait_for_line(r"end .* grpc-status=Unknown", deadline_s=READY_S)


def hunted_on_both(mesh: Mesh) -> dict[str, Any] | None:
    """The only finding. Votes for doughnuts are rare: the second replica may not have had one yet."""
    hunted = mesh.try_cli("hunt", "-n", SAMPLE, "-o", "json")
    assert hunted.returncode == 1, hunted.stderr
    (finding,) = json.loads(hunted.stdout)["findings"]
    expected = f"voting: {METHOD} fails with UNKNOWN on both replicas"
    found: dict[str, Any] | None = finding if finding["sentence"].startswith(expected) else None
    return found


def started(mesh: Mesh, *words: str, folder: Path) -> Child:
    """A command that goes on."""
    environment = {**os.environ, "KUBECONFIG": str(mesh.node.kubeconfig), "NO_COLOR": "1"}
    return Child.start([*CLI, *words], log=folder / f"{words[0]}.log", env=environment)


@pytest.fixture
def dashboard(observed: Observed, tmp_path: Path) -> Iterator[str]:
    """The address that `linkerd2-py dashboard` says."""
    words = ("dashboard", "--show", "url", "-p", "0")
    with started(observed.mesh, *words, folder=tmp_path) as process:
        yield process.wait_for_line(r"^(http://\S+)", deadline_s=READY_S)[1]


def test_three_clicks_lead_to_the_calls_that_fail(dashboard: str, page: Page) -> None:
    page.goto(dashboard)
    shown(page)
    page.get_by_role("region", name="Needs a look").get_by_role("link", name="voting").click()
    shown(page)
    routes = page.get_by_role("region", name="Routes").locator("tbody tr")
    expect(routes.first).to_contain_text(METHOD)
    expect(routes.first).to_contain_text("0.00%")
    routes.first.get_by_role("button", name=METHOD).click()
    page.get_by_role("button", name="One by one").click()
    live = page.locator("section").and_(page.get_by_role("region", name="Live calls"))
    calls = live.locator("tbody tr")
    expect(calls.first).to_contain_text("UNKNOWN", timeout=PATIENCE_MS)
    texts: Sequence[str] = calls.all_inner_texts()
    assert all(f"/{SAMPLE}.v1.VotingService/{METHOD}" in text for text in texts)


def test_the_page_leads_to_grafana_and_its_dashboards_are_there(observed: Observed) -> None:
    """As Grafana's chart looks for them."""

    def labelled(label: str) -> list[dict[str, str]]:
        words = (f"--namespace={NAMESPACE}", f"--selector={label}=1")
        return [one["data"] for one in observed.mesh.node.items("configmaps", *words)]

    boards = [json.loads(text) for data in labelled("grafana_dashboard") for text in data.values()]
    assert {one["uid"] for one in boards} == {board.uid for board in dashboards()}
    (source,) = labelled("grafana_datasource")
    assert (
        f"url: http://linkerd-prometheus.{NAMESPACE}.svc.cluster.local:9090"
        in source["linkerd.yaml"]
    )
