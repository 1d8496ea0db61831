"""What comes, goes and fails underneath: no request of a program notices that need not."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.interop import workload
from tests.support.interop.calls import ask, ask_admin, told
from tests.support.interop.cluster import Pod
from tests.support.interop.programs import Program
from tests.support.interop.proxies import Make
from tests.support.interop.shop import OPAQUE, PORTS, Shop
from tests.support.processes import Child
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(300)
LIMIT_S = 20.0
GRACE_S = 3.0
makes = pytest.mark.parametrize("make", list(Make))


PAUSE_S = 0.01
"""Each request leaves a port behind that is not used again for a minute, and a pod has 28,000."""


class Load:
    """Requests of one program, one after the other on connections of their own, until told to end."""

    def __init__(self, pod: Pod, ip: str) -> None:
        self._pod, self._ip = pod, ip
        self._ended = threading.Event()
        self.statuses: list[int] = []
        self.errors: list[str] = []

    def run(self) -> None:
        while not self._ended.wait(PAUSE_S):
            try:
                self.statuses.append(ask(self._pod, self._ip).status)
            except (OSError, AssertionError) as error:
                self.errors.append(repr(error))

    def end(self) -> None:
        self._ended.set()

    def wait_more(self, count: int = 10) -> None:
        """Until so many more have been answered."""
        enough = len(self.statuses) + count
        eventually(lambda: len(self.statuses) >= enough or self.errors, deadline_s=LIMIT_S)


@contextmanager
def load(pod: Pod, ip: str) -> Iterator[Load]:
    """While the block runs; all of them must have been served."""
    asked = Load(pod, ip)
    thread = threading.Thread(target=asked.run)
    thread.start()
    try:
        yield asked
        asked.wait_more()
    finally:
        asked.end()
        thread.join()
    assert not asked.errors
    assert set(asked.statuses) == {200}


@makes
def test_an_endpoint_that_goes_is_left_without_a_failed_request(mesh: Shop, make: Make) -> None:
    ip, (one, other) = mesh.service(Make.OURS), mesh.servers(Make.OURS)
    client = mesh.client(make)
    with load(client, ip) as asked:
        asked.wait_more()
        for left in (one, other):
            mesh.cluster.serve(Make.OURS, left, ports=PORTS)
            eventually(lambda left=left: answered(client, ip) == {left.name}, deadline_s=LIMIT_S)
        mesh.cluster.serve(Make.OURS, one, other, ports=PORTS)
        eventually(lambda: len(answered(client, ip)) == 2, deadline_s=LIMIT_S)


def answered(client: Pod, ip: str) -> set[str]:
    """Who answers ten requests."""
    return {told(ask(client, ip))["name"] for _ in range(10)}


@makes
def test_a_service_without_endpoints_fails_fast_and_recovers(mesh: Shop, make: Make) -> None:
    client, (one, _) = mesh.client(make), mesh.servers(Make.OURS)
    name = f"empty-for-{make}"
    ip = mesh.cluster.service(name, ports=PORTS, annotations=OPAQUE)
    answer = ask(client, ip)
    assert answer.status in {503, 504}
    # The gate is shut now: nobody waits any more.
    began = time.monotonic()
    assert ask(client, ip).status in {503, 504}
    assert time.monotonic() - began < LIMIT_S
    mesh.cluster.serve(name, one, ports=PORTS)
    eventually(lambda: ask(client, ip).status == 200, deadline_s=LIMIT_S)
    mesh.cluster.serve(name, ports=PORTS)
    eventually(lambda: ask(client, ip).status in {503, 504}, deadline_s=LIMIT_S)


@makes
def test_a_port_that_its_pod_alone_calls_opaque_is_not_looked_into(mesh: Shop, make: Make) -> None:
    """The service says nothing of it: each endpoint does."""
    name = f"quiet-{make}"
    only = {"config.linkerd.io/opaque-ports": str(workload.HTTP)}
    pod = mesh.cluster.pod(name, proxy=make, account=f"{make}-server", annotations=only)
    ip = mesh.cluster.service(name, pod, ports={80: workload.HTTP})
    for client in Make:
        if client is Make.OURS or Program.PROXY.is_given:
            seen = told(ask(mesh.client(client), ip))
            assert seen["name"] == name
            # Whoever reads requests says there who has called.
            assert "l5d-client-id" not in seen["fields"]


def told_to_end(child: Child) -> None:
    """As a kubelet does it. Linkerd's policy controller waits for streams that nobody ends."""
    child.send(signal.SIGTERM)
    try:
        child.process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


@pytest.mark.parametrize("end", [Child.kill, told_to_end])
@makes
def test_controllers_start_anew_underneath(
    mesh: Shop, make: Make, end: Callable[[Child], None]
) -> None:
    client, ip = mesh.client(make), mesh.service(Make.OURS)
    one, other = mesh.servers(Make.OURS)
    with load(client, ip) as asked:
        asked.wait_more()
        for controllers in (mesh.cluster.destination, mesh.cluster.identity):
            for name in controllers.running:
                controllers.restart(name, end)
                asked.wait_more()
        # And what they say from now on is heard.
        mesh.cluster.serve(Make.OURS, one, ports=PORTS)
        eventually(lambda: answered(client, ip) == {one.name}, deadline_s=4 * LIMIT_S)
        mesh.cluster.serve(Make.OURS, one, other, ports=PORTS)
        eventually(lambda: len(answered(client, ip)) == 2, deadline_s=4 * LIMIT_S)


@makes
def test_a_pod_that_is_not_meshed_calls_and_is_called(mesh: Shop, make: Make) -> None:
    plain = mesh.plain()
    ip = mesh.cluster.service("plain", plain, ports=PORTS, annotations=OPAQUE)
    assert told(ask(mesh.client(make), ip))["name"] == plain.name
    one, _ = mesh.servers(make)
    seen = told(ask(plain, one.host.v4, 8080))
    assert seen["name"] == one.name
    assert not [name for name in seen["fields"] if name.startswith("l5d-")]
    assert ask_admin(plain, one, "/ready") == 200
