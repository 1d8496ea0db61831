"""Workloads follow mesh.yaml: real processes, no proxies, and the mesh sees every step."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from linkerd2_py.base import tasks
from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.local.place.identity import (
    Issuance,
    PodIdentities,
    PodIdentity,
)
from linkerd2_py.controlplane.local.place.loopback.place import LoopbackPlace
from linkerd2_py.controlplane.local.place.plan import DoorFinder, PodPlan
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.programs.of_pod import Surroundings
from linkerd2_py.controlplane.local.state.state_dir import StateDir
from linkerd2_py.controlplane.local.supervise import pod as pods
from linkerd2_py.controlplane.local.supervise import silence
from linkerd2_py.controlplane.local.supervise import workload as workloads
from linkerd2_py.controlplane.local.supervise.fleet import Fleet
from linkerd2_py.controlplane.mesh.objects import EndpointsKey, Pod, WorkloadKey
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh
from linkerd2_py.controlplane.sources.local.mesh_spec import WorkloadSpec
from linkerd2_py.controlplane.sources.local.source import LocalSource
from tests.support.wait import eventually_async, in_time, within

SERVER = """
import os, socket, sys
listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])))
while True:
    peer, _ = listener.accept()
    peer.sendall((" ".join([os.environ["POD_NAME"], *sys.argv[1:]])).encode())
    peer.close()
"""


class Running:
    """A fleet over a mesh, fed with texts of mesh.yaml."""

    def __init__(self, root: Path) -> None:
        directory = StateDir(root / "state")
        directory.create()
        self.root = root
        (root / "server.py").write_text(SERVER)
        self.store = MeshStore()
        self.guard = Guard()
        issuance = Issuance("127.0.0.1:1", tokens=WorkloadTokens(), anchors=lambda: b"anchors")
        self.identities = PodIdentities(directory.identity, issuance=issuance)
        self.identities.open()
        around = Surroundings(
            guard=self.guard,
            clock=SystemClock(),
            state_dir=directory,
            identities=self.identities,
            proxy_api="127.0.0.1:1",
            env={"PATH": os.environ["PATH"]},
            cwd=root,
        )
        self.place = LoopbackPlace()
        self.fleet = Fleet(
            source=LocalSource(self.store),
            place=self.place,
            around=around,
            on_change=lambda: None,
        )

    def apply(self, *, replicas: int = 1, word: str = "one", more: str = "") -> None:
        self.fleet.apply(
            parse_mesh(
                f"""
services:
  web-svc: {{port: 80, targetPort: 8080, workload: web}}
workloads:
  web:
    command: [{sys.executable}, -S, server.py, {word}]
    meshed: false
    replicas: {replicas}
{more}""",
                source="mesh.yaml",
            )
        )

    def pods(self) -> dict[str, Pod]:
        return {key.name: pod for key, pod in self.store.mesh.pods.items()}

    async def wait(self, condition: Callable[[dict[str, Pod]], bool]) -> dict[str, Pod]:
        await eventually_async(lambda: condition(self.pods()), what=f"not with {self.pods()}")
        return self.pods()

    async def close(self) -> None:
        await self.fleet.stop()
        await self.place.close()
        self.guard.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "DEREGISTER_S", 0.01)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    yield made
    await made.close()


async def _ask(running: Running, pod: Pod) -> str:
    reader, writer = await asyncio.open_connection(pod.ip, _port(running, pod))
    answer = await in_time(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer.decode()


def _port(running: Running, pod: Pod) -> int:
    served = running.store.mesh.endpoints[EndpointsKey("default", "web-svc", 80)].endpoints
    return next(endpoint.port for endpoint in served if endpoint.pod == pod.key)


def _ready(pods: dict[str, Pod]) -> set[str]:
    return {name for name, pod in pods.items() if pod.serving}


async def test_replicas_start_and_serve_at_their_own_addresses(running: Running) -> None:
    running.apply(replicas=2)
    assert await running.fleet.wait_settled(limit_s=10)
    pods = running.pods()
    assert _ready(pods) == {"web-0", "web-1"}
    assert pods["web-0"].ip != pods["web-1"].ip
    assert [await _ask(running, pods[name]) for name in ("web-0", "web-1")] == [
        "web-0 one",
        "web-1 one",
    ]
    assert running.store.mesh.workloads[WorkloadKey("deployment", "default", "web")].replicas == 2
    assert running.fleet.problems == []


async def test_scaling_keeps_the_replicas_that_stay(running: Running) -> None:
    running.apply(replicas=1)
    before = (await running.wait(lambda pods: _ready(pods) == {"web-0"}))["web-0"]
    running.apply(replicas=3)
    await running.wait(lambda pods: _ready(pods) == {"web-0", "web-1", "web-2"})
    running.apply(replicas=1)
    pods = await running.wait(lambda pods: set(pods) == {"web-0"})
    assert pods["web-0"] == before


async def test_scaling_to_none_stops_all(running: Running) -> None:
    running.apply(replicas=1)
    await running.wait(lambda pods: _ready(pods) == {"web-0"})
    running.apply(replicas=0)
    await running.wait(lambda pods: not pods)
    assert running.fleet.settled


async def test_a_changed_command_replaces_one_replica_after_the_other(running: Running) -> None:
    running.apply(replicas=2)
    old = await running.wait(lambda pods: len(_ready(pods)) == 2)
    fewest = [2]
    watching = running.store.subscribe(lambda _changes: fewest.append(len(_ready(running.pods()))))
    running.apply(replicas=2, word="two")
    ips = {pod.ip for pod in old.values()}
    new = await running.wait(
        lambda pods: len(_ready(pods)) == 2 and not ips & {pod.ip for pod in pods.values()}
    )
    watching.close()
    assert [await _ask(running, new[name]) for name in ("web-0", "web-1")] == [
        "web-0 two",
        "web-1 two",
    ]
    assert min(fewest) == 1


async def test_a_pod_that_leaves_serves_until_its_clients_have_heard(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "DEREGISTER_S", 3600)
    running.apply()
    pod = (await running.wait(lambda pods: _ready(pods) == {"web-0"}))["web-0"]
    runner = running.fleet.pods[0]
    running.apply(replicas=0)
    await running.wait(lambda pods: pods["web-0"].status == "Terminating")
    # The loop has turned since: a program that is not waited for would have been told to end by now.
    for _ in range(10):
        await asyncio.sleep(0)
    assert not runner._app._stopping.is_set()
    assert await _ask(running, pod) == "web-0 one"
    # When the mesh ends there is nobody to hear of it, and no pause.
    async with within(20):
        await running.fleet.stop()
    assert runner._app._stopping.is_set()


async def test_workloads_come_and_go_without_touching_others(running: Running) -> None:
    more = "  extra: {command: [sleep, '60'], meshed: false}"
    running.apply(more=more)
    before = (await running.wait(lambda pods: _ready(pods) == {"web-0", "extra-0"}))["web-0"]
    running.apply()
    await running.wait(lambda pods: set(pods) == {"web-0"})
    running.apply(more=more)
    pods = await running.wait(lambda pods: _ready(pods) == {"web-0", "extra-0"})
    assert pods["web-0"] == before


async def test_a_missing_command_fails_alone(running: Running) -> None:
    running.apply(more="  broken: {command: [no-such-command], meshed: false}")
    assert await running.fleet.wait_settled(limit_s=10)
    pods = running.pods()
    assert (pods["web-0"].status, pods["broken-0"].status) == ("Running", "Failed")
    assert running.fleet.problems == ["pod broken-0: command not found: 'no-such-command'"]


async def test_a_replaced_command_repairs_a_failed_workload(running: Running) -> None:
    running.apply(more="  broken: {command: [no-such-command], meshed: false}")
    await running.wait(lambda pods: "broken-0" in pods and pods["broken-0"].status == "Failed")
    running.apply(more="  broken: {command: [sleep, '60'], meshed: false}")
    await running.wait(lambda pods: _ready(pods) == {"web-0", "broken-0"})


async def test_a_program_that_dies_is_not_ready_and_comes_back(running: Running) -> None:
    running.apply()
    pod = (await running.wait(lambda pods: _ready(pods) == {"web-0"}))["web-0"]
    port = _port(running, pod)
    process = running.fleet.pods[0]._app._process
    assert process is not None
    process._popen.kill()
    await running.wait(lambda pods: not _ready(pods))
    again = (await running.wait(lambda pods: _ready(pods) == {"web-0"}))["web-0"]
    assert (again.ip, _port(running, again), again.restarts) == (pod.ip, port, 1)
    assert again.last_exit == "program ended by SIGKILL"
    assert again.last_exit_at > pod.started


async def test_a_pod_that_never_becomes_ready_says_what_its_program_does_instead(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "LOOK_EVERY_S", 0)
    monkeypatch.setattr(silence, "STALLED_S", 0)
    mistaken = SERVER.replace('os.environ["HOST"], int(os.environ["PORT"])', '"127.0.0.1", 0')
    (running.root / "mistaken.py").write_text(mistaken)
    running.apply(
        more="  silent: {command: [sleep, '60'], meshed: false, ready: {tcp: 1}}\n"
        f"  mistaken: {{command: [{sys.executable}, -S, mistaken.py], meshed: false, ready: {{tcp: 2}}}}"
    )

    def problem(name: str) -> str:
        pod = running.pods().get(name)
        return pod.problem if pod else ""

    await eventually_async(lambda: "listens nowhere" in problem("silent-0"))
    await eventually_async(lambda: "listens on" in problem("mistaken-0"))
    silent, pod = running.pods()["silent-0"], running.pods()["mistaken-0"]
    assert silent.problem == f"nothing answers on {silent.ip}:1 (the program listens nowhere)"
    where = rf"nothing answers on {pod.ip}:2 \(the program listens on 127\.0\.0\.1:\d+\)"
    assert re.fullmatch(where, pod.problem)
    assert (pod.ready, pod.status) == (False, "Running")
    assert f"pod mistaken-0: {pod.problem}" in running.fleet.problems
    assert all(one.stalled for one in running.fleet.pods if one.plan.name == "mistaken-0")
    assert not await running.fleet.wait_settled(limit_s=0)


async def test_what_answers_has_no_problem_and_never_stalls(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "STALLED_S", 0)
    running.apply()
    pod = (await running.wait(lambda pods: _ready(pods) == {"web-0"}))["web-0"]
    assert pod.problem == ""
    assert not running.fleet.pods[0].stalled


@pytest.mark.parametrize(
    ("error", "replicas"), [(OSError(28, "No space left on device"), 1), (ValueError("odd"), 2)]
)
async def test_a_replica_that_had_no_place_for_a_moment_starts_by_itself(
    running: Running, monkeypatch: pytest.MonkeyPatch, error: Exception, replicas: int
) -> None:
    monkeypatch.setattr(workloads, "TRY_AGAIN", BackoffRange(0.3, 0.3, 0.0))
    join, tries = running.place.join, 0

    async def fail_for_the_first(spec: WorkloadSpec, *, name: str, door: DoorFinder) -> PodPlan:
        nonlocal tries
        tries += name == "web-0"
        if name == "web-0" and tries <= 2:
            raise error
        return await join(spec, name=name, door=door)

    monkeypatch.setattr(running.place, "join", fail_for_the_first)
    running.apply(replicas=replicas)
    await eventually_async(lambda: f"web-0: {error}" in running.fleet.problems)
    await running.wait(lambda pods: len(_ready(pods)) == replicas)
    assert (running.fleet.problems, tries) == ([], 3)


async def test_a_watch_that_failed_goes_on_with_the_programs_that_run(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    judge = pods.PodRunner._judge

    def fail_once(pod: pods.PodRunner, refusal: str) -> None:
        judged.append(refusal)
        if len(judged) == 1:
            raise RuntimeError("unforeseen")
        judge(pod, refusal)

    monkeypatch.setattr(pods.PodRunner, "_judge", fail_once)
    running.apply()
    await running.wait(lambda pods: _ready(pods) == {"web-0"})
    assert len(judged) >= 2
    process = running.fleet.pods[0]._app._process
    assert process is not None
    process._popen.kill()
    pods_now = await running.wait(lambda pods: pods["web-0"].restarts > 0 and pods["web-0"].serving)
    # Were it kept twice, its end would be counted twice.
    assert pods_now["web-0"].restarts == 1


async def test_a_door_that_could_not_be_renewed_is_renewed_later(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.supervise, "__kwdefaults__", {"pauses": BackoffRange(0.01, 0.01, 0)})
    running.apply(more="  meshed: {command: [sleep, '60'], replicas: 0}")
    ingress, issue, failures = running.fleet.ingress, running.identities.issue, 1
    (old,) = ingress._proxies

    def fail_once(pod: str, *, service_account: str, namespace: str) -> PodIdentity:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise OSError(28, "No space left on device")
        return issue(pod, service_account=service_account, namespace=namespace)

    monkeypatch.setattr(running.identities, "issue", fail_once)
    others = replace(running.identities._issuance, anchors=lambda: b"others")
    monkeypatch.setattr(running.identities, "_issuance", others)
    ingress.renew()
    await eventually_async(lambda: ingress._renewing is not None and ingress._renewing.done())
    assert ingress._proxies[0] is not old
    assert failures < 0


async def test_a_pod_whose_token_cannot_be_stored_does_not_start_and_keeps_no_place(
    running: Running,
) -> None:
    running.identities.close()
    mesh = parse_mesh("workloads: {web: {command: [sleep, '60']}}", source="mesh.yaml")
    running.fleet.apply(mesh)
    await eventually_async(lambda: running.fleet.problems)
    (problem,) = running.fleet.problems
    assert problem.startswith("web-0: [Errno 2] No such file or directory")
    assert running.pods() == {}
    assert running.fleet.settled
    running.place._addresses.take()
    assert len(running.place._addresses._free) == 253
