"""Connections of bytes that nobody parses, and what is outside, as a mesh.yaml says: on loopback addresses and in
network namespaces alike.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.integration.local.mesh_cli import MODES, MeshCli, mesh_up
from tests.integration.local.transparent_mesh import inside
from tests.support.wait import eventually, patience

from .test_mesh_yaml import _address

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SERVER = """\
import os, socketserver, sys
class Says(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(os.environ["SAYS"].encode())
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer((os.environ["HOST"], int(os.environ["PORT"])), Says).serve_forever()
"""
ASKING = (
    "import socket; print(socket.create_connection(('log', 9000), 10).recv(9).decode(), end='')"
)
MESH = """\
namespace: bytes
egress: {allow: ["http://good.test"]}
services:
  log: {workload: log, port: 9000, opaque: true, split: {log: 3, log-next: 1}}
  log-next: {workload: log-next, port: 9000, opaque: true}
workloads:
  log: {command: [python3, server.py], env: {SAYS: log}}
  log-next: {command: [python3, server.py], env: {SAYS: next}}
  client: {command: [sleep, infinity], outbound: [log]}
"""
ASKS, TRAFFIC_S = 40, 60.0


@pytest.fixture(scope="module", params=MODES)
def cli(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MeshCli]:
    with mesh_up(
        tmp_path_factory.mktemp(request.param),
        {"mesh.yaml": MESH, "server.py": SERVER},
        mode=request.param,
    ) as made:
        yield made


def who_answers(cli: MeshCli) -> str:
    """The log that a program of the client gets to."""
    if cli.state()["network"]:
        return inside(cli, "client-0", "python3", "-c", ASKING)
    host, _, port = _address(cli, "client-0", "log").rpartition(":")
    with socket.create_connection((host, int(port)), 10 * patience()) as link:
        return link.recv(9).decode()


def test_connections_are_split(cli: MeshCli) -> None:
    seen: Counter[str] = Counter()

    def both() -> bool:
        seen[who_answers(cli)] += 1
        return len(seen) == 2 and seen.total() >= ASKS

    eventually(both, deadline_s=TRAFFIC_S, what=f"both logs, not {seen}")
    assert set(seen) == {"log", "next"}
    assert seen["log"] > seen["next"]


def test_hosts_outside_are_let_go_by_name(cli: MeshCli) -> None:
    if not cli.state()["network"]:
        pytest.skip("nothing is intercepted on loopback addresses")
    answers = {}
    for host in ("good.test", "bad.test"):
        words = ("curl", "-s", "-o", "/dev/null", "-D", "-", "-m", "20", "-H", f"Host: {host}")
        answers[host] = inside(cli, "client-0", *words, "http://203.0.113.9/")
    denied = "l5d-proxy-error: traffic not allowed"
    assert answers["bad.test"].startswith("HTTP/1.1 403 ")
    assert denied in answers["bad.test"]
    # Whether anything is at that address is not our business.
    assert answers["good.test"]
    assert denied not in answers["good.test"]
