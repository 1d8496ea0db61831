"""A breaker of mesh.yaml, all the way: said in the file, told by the control plane, kept by the proxy that calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.local.mesh_cli import MeshCli, mesh_up
from tests.support.series import by
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

API = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if "FAILS" in os.environ else 200)
        self.send_header("content-length", "0")
        self.end_headers()

ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
# One of the two replicas is the first to make the folder, and fails.
MESH = """
namespace: shop
services:
  api: {targetPort: 8080, workload: api, breaker: {failures: 1, backoff: 60s..60s, jitter: 0}}
workloads:
  api:
    replicas: 2
    command: [sh, -c, 'mkdir taken && export FAILS=1; exec python3 api.py']
  caller:
    command: [sh, -c, 'while sleep 0.05; do curl -s "http://$API_ADDR/" & curl -s "http://$API_ADDR/"; done']
    outbound: [api]
"""


@pytest.fixture
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    with mesh_up(tmp_path_factory.mktemp("breaker"), {"api.py": API, "mesh.yaml": MESH}) as made:
        yield made


def test_one_replica_that_fails_is_left_alone(cli: MeshCli) -> None:
    def opened() -> dict[str, float]:
        text = cli.ok("diagnostics", "proxy-metrics", "deploy/caller")
        changes = by(text, "outbound_http_balancer_breaker_changes_total", "to")
        endpoints = by(text, "outbound_http_balancer_endpoints", "endpoint_state")
        return endpoints if changes.get("open") else {}

    assert eventually(opened, what="the breaker is open") == {"ready": 1, "pending": 1}

    def told() -> bool:
        return "fails too much, and is left alone for 60.0 s" in cli.ok("local", "logs", "caller")

    eventually(told, what="the proxy says so")
