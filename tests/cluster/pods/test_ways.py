"""Whatever programs in pods speak, they speak it through the mesh, and their peers know who they are."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.cluster.node import workloads
from tests.support.cluster.node.machine import ADDRESS, has_ipv6
from tests.support.cluster.node.mesh import READY_S, Mesh, Place
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(600)

HOST_PORT = 18080


@pytest.fixture(scope="module")
def place(installed: Mesh) -> Iterator[Place]:
    """Every kind of server, and a CronJob that has had a while when somebody looks."""
    with installed.namespace("ways") as found:
        found.apply(
            *_served("web", "http_server.py"),
            *_served("six", "http_server.py", host="::"),
            *_served("calls", "grpc_server.py"),
            *_served("rooms", "websocket_server.py"),
            *_served("data", "speaks_first.py", opaque_ports=str(workloads.PORT)),
            _headless("member"),
            workloads.stateful_set(
                "member", workloads.pod_spec(workloads.server("http_server.py")), replicas=2
            ),
            _on_the_node(),
            workloads.cron_job("each-minute", _asks_web()),
        )
        deployments = [
            f"deployment/{name}" for name in ("web", "six", "calls", "rooms", "data", "near")
        ]
        found.wait_rolled(*deployments, "statefulset/member")
        yield found


def _served(
    name: str, program: str, *, host: str = "0.0.0.0", **annotations: str
) -> list[workloads.Object]:
    spec = workloads.pod_spec(workloads.server(program, host=host))
    said = {
        f"config.linkerd.io/{key.replace('_', '-')}": value for key, value in annotations.items()
    }
    families = {"ipFamilyPolicy": "PreferDualStack"}
    return [
        workloads.deployment(name, spec, **annotations),
        workloads.service(name, annotations=said, **families),
    ]


def _headless(name: str) -> workloads.Object:
    return workloads.service(name, clusterIP="None")


def _on_the_node() -> workloads.Object:
    ports = [{"containerPort": workloads.PORT, "hostPort": HOST_PORT}]
    return workloads.deployment(
        "near", workloads.pod_spec(workloads.server("http_server.py", ports=ports))
    )


def _asks_web() -> workloads.Object:
    url = f"http://web:{workloads.PORT}/from-cron"
    return workloads.pod_spec(workloads.client("ask.py", "http", url))


def _who(answer: workloads.Object) -> str:
    """Who the server was told asks."""
    return str(answer["headers"].get("l5d-client-id", ""))


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("http", "http://web:8080/"),
        ("grpc", "calls:8080"),
        ("ws", "ws://rooms:8080/"),
        ("db", "data:8080"),
    ],
)
def test_a_job_asks_and_ends(place: Place, kind: str, target: str) -> None:
    """Its pod ends with its program: the proxy does not keep it."""
    answers = place.ask(kind, target, times=3, name=f"ask-{kind}")
    assert len(answers) == 3
    app = target.removeprefix("http://").removeprefix("ws://").partition(":")[0]
    pods = [one["metadata"]["name"] for one in place.pods(app)]
    assert all(any(pod in json.dumps(answer) for pod in pods) for answer in answers)


def test_the_server_is_told_who_asks(place: Place) -> None:
    (answer,) = place.ask("http", "http://web:8080/", name="ask-who")
    assert _who(answer) == "default.ways.serviceaccount.identity.linkerd.cluster.local"


def test_an_instance_of_a_stateful_set_answers_by_its_own_name(place: Place) -> None:
    for instance in ("member-0", "member-1"):
        url = f"http://{instance}.member.ways.svc.cluster.local:8080/"
        (answer,) = place.ask("http", url, name=f"ask-{instance}")
        assert answer["pod"] == instance
        assert _who(answer)


def test_a_port_of_the_node_leads_to_its_pod(place: Place) -> None:
    said = place.node.inside("curl", "--silent", "--fail", f"http://{ADDRESS}:{HOST_PORT}/")
    assert json.loads(said.stdout)["pod"].startswith("near-"), said


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_the_other_family_is_meshed_too(place: Place, installed: Mesh) -> None:
    """Once the mesh is told that there is one."""
    installed.apply(installed.cli("upgrade", "--set", "disableIPv6=false"))
    installed.wait_ready()
    place.kubectl("rollout", "restart", "deployment/six")
    place.wait_rolled("deployment/six")
    (service,) = [one for one in place.items("services") if one["metadata"]["name"] == "six"]
    (address,) = [ip for ip in service["spec"]["clusterIPs"] if ":" in ip]
    (answer,) = place.ask("http", f"http://[{address}]:8080/", name="ask-six")
    assert _who(answer)


def test_a_cron_job_runs_again_and_again(place: Place) -> None:
    def ended() -> int:
        jobs = place.items("jobs")
        ours = [one for one in jobs if one["metadata"]["name"].startswith("each-minute-")]
        return sum(one["status"].get("succeeded", 0) for one in ours)

    eventually(lambda: ended() >= 2, deadline_s=180 + READY_S, what="two of its jobs have ended")
