"""What a mesh.yaml says of how long requests may take, how often they are tried, when an endpoint is left alone
and what is asked for instead, done by the proxies of a mesh on loopback addresses.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.integration.local.mesh_cli import MeshCli, mesh_up
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MESH = """
namespace: shop
services:
  front:
    targetPort: 8080
    workload: front
    routes:
      - match: {path: /slow}
        timeout: 200ms
      - match: {path: /flaky/*}
        retries: {when: [503], limit: 2}
      - match: {path: /fails/*}
        fail: {status: 418, share: 50%, message: half of them}
      - match: {path: /renamed/*}
        rewrite: {prefix: /new}
      - match: {path: /moved}
        redirect: {path: /there, status: 301}
      - {}
  worn:
    targetPort: 8080
    workload: worn
    breaker: {failures: 3, backoff: 600s..600s, jitter: 0}
workloads:
  front: {command: [python, serve.py]}
  worn: {command: [python, serve.py], replicas: 3}
"""
# /flaky fails twice for each path before it succeeds, /slow takes longer than anybody waits; the first replica
# of `worn` fails always.
SERVE = """
import os, threading, time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

tries = Counter()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        tries[self.path] += 1
        if self.path == "/slow":
            threading.Event().wait(30)
        failing = os.environ["POD_NAME"] == "worn-0"
        flaky = self.path.startswith("/flaky") and tries[self.path] < 3
        body = f"{tries[self.path]}\\n".encode()
        self.send_response(503 if failing or flaky else 200)
        self.send_header("x-path", self.path)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
IN_A_ROW = 40


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    with mesh_up(tmp_path_factory.mktemp("limits"), {"mesh.yaml": MESH, "serve.py": SERVE}) as made:
        yield made


@pytest.fixture
def people(cli: MeshCli) -> Iterator[dict[str, httpx2.Client]]:
    """Who comes in by the doors."""
    links = cli.state()["links"]
    clients = {
        name: httpx2.Client(base_url=link, trust_env=False, timeout=20 * patience())
        for name, link in links.items()
    }
    yield clients
    for one in clients.values():
        one.close()


def test_a_timeout_ends_a_request(people: dict[str, httpx2.Client]) -> None:
    found = people["front"].get("/slow")
    assert found.status_code == 504
    assert "0.2 s" in found.headers["l5d-proxy-error"]


def test_requests_are_tried_again(people: dict[str, httpx2.Client]) -> None:
    found = people["front"].get("/flaky/once")
    assert (found.status_code, found.text) == (200, "3\n")


def test_a_share_of_requests_fails(people: dict[str, httpx2.Client]) -> None:
    seen = {}

    def both() -> bool:
        found = people["front"].get("/fails/some")
        seen[found.status_code] = found.headers.get("l5d-proxy-error", "")
        return len(seen) == 2

    eventually(both, what="some that fail and some that do not")
    assert seen == {200: "", 418: "half of them"}


def test_paths_are_rewritten_and_redirected(people: dict[str, httpx2.Client]) -> None:
    rewritten = people["front"].get("/renamed/a?b=c")
    assert (rewritten.status_code, rewritten.headers["x-path"]) == (200, "/new/a?b=c")
    moved = people["front"].get("/moved")
    assert moved.status_code == 301
    assert moved.headers["location"].endswith("/there")


def test_an_endpoint_that_fails_is_left_alone(people: dict[str, httpx2.Client]) -> None:
    def only_successes() -> bool:
        return {people["worn"].get("/").status_code for _ in range(IN_A_ROW)} == {200}

    eventually(only_successes, deadline_s=60, what="nothing but successes")


def test_check_has_nothing_to_say(cli: MeshCli) -> None:
    assert "mesh.yaml means here what it says" in cli.ok("check", "--wait", "30s")
    assert "‼" not in cli.ok("check")
