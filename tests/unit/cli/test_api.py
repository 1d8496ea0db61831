"""The public API's client, and the checks on it, against `tests.support.public_api`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from linkerd2_py import __version__
from linkerd2_py.cli.api import Api
from linkerd2_py.cli.checks.mesh import DATA_PLANE, VERSION, MeshChecks
from linkerd2_py.cli.checks.run import NotYetError, run_checks
from linkerd2_py.cli.errors import EXIT_USAGE, CliError
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.cli.main import run
from linkerd2_py.cli.metrics import meshed_pods
from linkerd2_py.cli.options import Globals
from linkerd2_py.cli.resources import Resource
from linkerd2_py.cli.scraping import scrape
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh
from tests.support.public_api import Server


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def outcomes(server: Server) -> dict[tuple[str, str], tuple[str, str]]:
    """What every check says, by category and description."""
    checks = MeshChecks(Globals(api_addr=server.address))
    try:
        results = run_checks(checks.all(), wait_s=0, on_wait=lambda _reason: None)
        return {(r.category, r.description): (r.outcome, r.message) for r in results}
    finally:
        checks.close()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, {"error": "type is missing"}, "^type is missing$"),
        (503, {}, "^the control plane answered 503$"),
        (200, "<html>", "is not a linkerd2-py public API: status 200, no JSON object"),
        (200, [1], "is not a linkerd2-py public API"),
    ],
)
def test_a_bad_answer_is_one_line(server: Server, status: int, body: object, message: str) -> None:
    server.answers["/stat"] = (status, body)
    with (
        Api(ControlPlane(f"http://{server.address}")) as api,
        pytest.raises(CliError, match=message),
    ):
        api.get("/stat", type="deploy")


def test_what_names_no_namespace_is_where_the_command_line_looks() -> None:
    mesh = parse_mesh("workloads: {web: {command: [sleep, '1']}}", source="mesh.yaml")
    names = {
        mesh.namespace,
        mesh.workloads["web"].namespace,
        ControlPlane("http://127.0.0.1:1").namespace,
    }
    assert names == {"default"}


def test_an_address_that_is_none_is_bad_usage() -> None:
    with pytest.raises(CliError, match="is not an address") as caught:
        Api(ControlPlane("http://127.0.0.1:port"))
    assert caught.value.status == EXIT_USAGE


def test_a_healthy_mesh_passes_every_check(server: Server) -> None:
    assert {outcome for outcome, _ in outcomes(server).values()} == {"success"}


@pytest.mark.parametrize(
    ("change", "check", "outcome", "message"),
    [
        (
            {"status": "Failed"},
            (DATA_PLANE, "pods are running"),
            "error",
            "1 of 2 pods not running: shop/web-1",
        ),
        (
            {"ready": False, "problem": "nothing answers on 127.0.0.2:80"},
            (DATA_PLANE, "pods are ready"),
            "error",
            "1 of 2 pods not ready: shop/web-1 (nothing answers on 127.0.0.2:80)",
        ),
        (
            {"restarts": 3, "last_exit": "app: exited with status 3", "since_last_exit_s": 9.0},
            (DATA_PLANE, "pods keep running"),
            "warning",
            "1 of 2 pods started again lately: shop/web-1 (app: exited with status 3)",
        ),
        (
            {"proxy_ready": False},
            (DATA_PLANE, "data plane proxies are ready"),
            "error",
            "1 of 2 pods not ready: shop/web-1",
        ),
        (
            {"since_last_report_s": None},
            (DATA_PLANE, "data plane proxy metrics are present"),
            "error",
            "1 of 2 pods without metrics: shop/web-1",
        ),
        (
            {"since_last_report_s": 31.0},
            (DATA_PLANE, "data plane proxy metrics are present"),
            "error",
            "1 of 2 pods without metrics: shop/web-1",
        ),
        (
            {"proxy_version": "0.0.1"},
            (VERSION, "data plane and cli versions match"),
            "warning",
            f"there are proxies of version 0.0.1, this command is {__version__}",
        ),
    ],
)
def test_one_pod_that_is_not_well_is_named(
    server: Server, change: Mapping[str, Any], check: tuple[str, str], outcome: str, message: str
) -> None:
    server.set_pods({}, {"name": "web-1", **change})
    found = outcomes(server)
    assert found.pop(check) == (outcome, message)
    assert {kind for kind, _ in found.values()} == {"success"}


def test_the_data_plane_alone(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """What the control plane says of itself is not asked for, nor is its version compared."""
    del server.answers["/self-check"]
    assert run(["--api-addr", server.address, "check", "--proxy"]) == 0
    out = capsys.readouterr().out
    assert "√ pods are ready\n√ pods keep running\n√ data plane proxies are ready\n" in out
    assert "control plane and cli versions match" not in out
    server.set_pods({"ready": False, "problem": "nothing answers on 127.0.0.2:80"})
    assert run(["--api-addr", server.address, "check", "--proxy", "--wait", "0s"]) == 1
    assert (
        "× pods are ready\n    1 of 1 pods not ready: shop/web-0 (nothing answers"
        in capsys.readouterr().out
    )


def test_versions_of_proxies(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.set_pods({}, {}, {"proxy_version": "0.0.1"}, {"meshed": False, "proxy_version": ""})
    words = ["--api-addr", server.address, "version", "--proxy"]
    assert run(words) == 0
    assert capsys.readouterr().out == (
        f"Client version: {__version__}\nServer version: {__version__}\n"
        f"Proxy versions:\n  0.0.1 (1 pod)\n  {__version__} (2 pods)\n"
    )
    assert run([*words, "--short"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n{__version__}\n0.0.1\n{__version__}\n"
    del server.answers["/pods"]
    assert run(words) == 0
    assert capsys.readouterr().out.endswith("Proxy versions: unavailable\n")


def test_a_mesh_without_pods_is_not_running(server: Server) -> None:
    server.set_pods()
    found = outcomes(server)
    assert found[DATA_PLANE, "pods are running"] == ("error", "there are no pods")
    assert found[DATA_PLANE, "data plane proxies are ready"] == ("warning", "no pod is meshed")


def test_another_version_of_the_control_plane_is_a_warning(server: Server) -> None:
    server.answers["/version"] = (200, {"version": "0.0.1"})
    outcome, message = outcomes(server)[VERSION, "control plane and cli versions match"]
    assert (outcome, "0.0.1" in message) == ("warning", True)


def test_what_the_control_plane_says_of_itself_is_passed_on(server: Server) -> None:
    results = [
        {"category": "api", "description": "store", "status": "warning", "message": "late"},
        {"category": "api", "description": "registry", "status": "odd", "message": None},
    ]
    server.answers["/self-check"] = (200, {"results": results})
    found = outcomes(server)
    assert found["api", "store"] == ("warning", "late")
    assert found["api", "registry"] == ("error", "")


def test_a_control_plane_that_has_just_started_may_be_asked_again(server: Server) -> None:
    late = {"category": "api", "description": "proxy-api", "status": "error", "message": "no name"}
    server.answers["/self-check"] = (200, {"results": [late]})
    checks = MeshChecks(Globals(api_addr=server.address))
    try:
        known, *others = checks.all()
        itself = [one for one in others if one.description == "control plane checks itself"]
        known.ask()
        with pytest.raises(NotYetError, match="proxy-api: no name"):
            itself[0].ask()
    finally:
        checks.close()


def test_nothing_is_asked_of_what_is_no_control_plane(server: Server) -> None:
    server.answers["/version"] = (200, "hello")
    *_, (outcome, message) = outcomes(server).values()
    assert outcome == "error"
    assert "is not a linkerd2-py public API" in message


@pytest.mark.parametrize(
    ("resource", "admin_addr", "message"),
    [
        (Resource("pod", "web-9"), "127.0.0.1:1", "no pod found for po/web-9"),
        (Resource("deployment", "web"), None, "no meshed pod found for deploy/web"),
    ],
)
def test_metrics_of_nobody_are_refused(
    server: Server, resource: Resource, admin_addr: str | None, message: str
) -> None:
    server.set_pods({"admin_addr": admin_addr})
    with (
        Api(ControlPlane(f"http://{server.address}")) as api,
        pytest.raises(CliError, match=message),
    ):
        meshed_pods(api, resource=resource, namespace="shop")


def test_a_proxy_that_does_not_answer_is_one_line(server: Server) -> None:
    with pytest.raises(CliError, match=f"the proxy at {server.address} does not answer"):
        scrape(server.address)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("local", "hint: see `linkerd2-py local logs POD -c proxy`"),
        ("kubernetes", "hint: see `kubectl logs POD -c linkerd-proxy`"),
    ],
)
def test_hints_are_about_where_the_mesh_is(
    server: Server, source: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/version"] = (200, {"version": __version__, "source": source})
    server.set_pods({"proxy_ready": False})
    assert run(["--api-addr", server.address, "check", "--wait", "0s"]) == 1
    assert (
        f"× data plane proxies are ready\n    1 of 1 pods not ready: shop/web-0\n    {hint}\n"
        in (capsys.readouterr().out)
    )
