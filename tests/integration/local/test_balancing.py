"""Weights and zones of mesh.yaml, all the way: said in the file, told by the control plane, kept by the proxy
that calls, and shown by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.local.mesh_cli import MeshCli, mesh_up
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

API = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = os.environ["POD_NAME"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(name)))
        self.end_headers()
        self.wfile.write(name)

ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
CALLS = """
while sleep 0.05; do
  for address in $WEIGHED_ADDR $ZONED_ADDR; do curl -s "http://$address/" >> said; done
done
"""
MESH = """
namespace: shop
services:
  weighed: {targetPort: 8080, workload: weighed}
  zoned: {targetPort: 8080, workload: zoned, preferZone: true}
workloads:
  weighed: {replicas: 2, weight: [1, 10], command: [python, api.py]}
  zoned: {replicas: 2, zone: [eu-1.a, eu-1.b], command: [python, api.py]}
  caller:
    zone: eu-1.b
    command: [sh, call.sh]
    outbound: [weighed, zoned]
"""


@pytest.fixture
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    with mesh_up(
        tmp_path_factory.mktemp("balancing"), {"api.py": API, "call.sh": CALLS, "mesh.yaml": MESH}
    ) as made:
        yield made


def endpoints(cli: MeshCli, service: str) -> dict[str, Any]:
    """By their pods, as the proxy of the caller believes."""
    (caller,) = cli.json("diagnostics", "proxy-endpoints", "deploy/caller")
    assert caller["pod"] == "caller-0"
    return {
        one["pod"]: one
        for target in caller["targets"]
        if target["logical"].startswith(f"{service}.shop.")
        for one in target["endpoints"]
    }


def test_what_the_file_says_is_done_and_shown(cli: MeshCli) -> None:
    def answered(service: str) -> dict[str, int]:
        path = cli.root / "said"
        text = path.read_text() if path.exists() else ""
        return {name: text.count(name) for name in (f"{service}-0", f"{service}-1")}

    eventually(lambda: sum(answered("weighed").values()) > 150, what="many requests", deadline_s=60)
    weighed, zoned = answered("weighed"), answered("zoned")
    assert weighed["weighed-1"] > 4 * weighed["weighed-0"]
    assert zoned["zoned-1"] > 15 * zoned["zoned-0"]

    told = endpoints(cli, "weighed")
    assert {pod: one["weight"] for pod, one in told.items()} == {"weighed-0": 1, "weighed-1": 10}
    assert {one["state"] for one in told.values()} == {"ready"}
    told = endpoints(cli, "zoned")
    assert {pod: (one["zone"], one["preferred"]) for pod, one in told.items()} == {
        "zoned-0": ("eu-1.a", False),
        "zoned-1": ("eu-1.b", True),
    }
    table = cli.ok("diagnostics", "proxy-endpoints", "po/caller-0")
    assert table.splitlines()[0].split()[:3] == ["POD", "TARGET", "ENDPOINT"]
    assert "eu-1.b (own)" in table and "weighed-1" in table


def test_who_cannot_be_asked(cli: MeshCli) -> None:
    for words, reason in (
        (["svc/zoned"], "proxy-endpoints needs one pod, deployment or namespace"),
        (["deploy/nobody"], "no pod found for deploy/nobody"),
    ):
        done = cli.run("diagnostics", "proxy-endpoints", *words)
        assert done.status != 0 and done.out == ""
        assert reason in done.err
