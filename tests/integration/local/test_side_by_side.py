"""Two local meshes of one machine: each has ports, a dashboard, a tap and an end of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pexpect
import pytest

from tests.integration.local.mesh_cli import ENTRY, MeshCli, addresses_of
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NAMES = ("first", "second")
SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["MESH"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
# Names of workload and service are the same in both, as they are when the same file is started twice.
MESH = """
namespace: {name}
services:
  web-svc: {{port: 80, targetPort: 8080, workload: web}}
workloads:
  web:
    command: [{python}, server.py]
    env: {{MESH: {name}}}
"""


@pytest.fixture(scope="module")
def meshes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, MeshCli]]:
    """Both run."""
    made = {name: MeshCli(tmp_path_factory.mktemp(name)) for name in NAMES}
    try:
        for name, cli in made.items():
            (cli.root / "server.py").write_text(SERVER)
            (cli.root / "mesh.yaml").write_text(MESH.format(name=name, python=sys.executable))
            _up(cli)
        yield made
    finally:
        for cli in made.values():
            cli.stop()


def _up(cli: MeshCli) -> None:
    cli.ok("local", "up", "-f", "mesh.yaml", "--detach", timeout_s=120)


def _page(cli: MeshCli) -> str:
    return str(cli.state()["links"]["web-svc"])


def _dashboard(cli: MeshCli) -> tuple[str, str]:
    """Its address and the token that is behind it."""
    url, _, token = cli.ok("dashboard", "--show", "url").strip().partition("#token=")
    return url, token


def _tapped(cli: MeshCli, *, path: str) -> str:
    """The first line about a request for `path` that is sent while the mesh is tapped."""
    words = ["tap", "deploy/web", "--path", path]
    child = pexpect.spawn(
        ENTRY[0],
        [*ENTRY[1:], *words],
        cwd=str(cli.root),
        env=cli.env,
        encoding="utf-8",
        dimensions=(24, 400),
    )
    try:

        def line() -> str:
            # Until the proxies are watched, requests pass untold.
            httpx2.get(f"{_page(cli)}{path.lstrip('/')}").raise_for_status()
            seen = child.expect([r"req id=[^\r\n]*", pexpect.TIMEOUT], timeout=0.2)
            return str(child.after) if seen == 0 else ""

        return eventually(line, deadline_s=30, what=f"a request for {path} in tap")
    finally:
        child.close(force=True)


def test_no_address_is_of_both(meshes: dict[str, MeshCli]) -> None:
    first, second = (set(addresses_of(meshes[name].family())) for name in NAMES)
    assert first
    assert second
    assert not first & second
    # What listens on every address takes its port from the other mesh, too.
    everywhere = {port for ip, port in first | second if ip in {"0.0.0.0", "::"}}
    assert not everywhere & {port for _, port in first}
    assert not everywhere & {port for _, port in second}


def test_each_is_reached_and_tapped_by_itself(meshes: dict[str, MeshCli]) -> None:
    for name, cli in meshes.items():
        assert httpx2.get(_page(cli)).text == name
        told = _tapped(cli, path=f"/of-{name}")
        assert f"dst={_ip(cli)}:" in told
    assert _ip(meshes["first"]) != _ip(meshes["second"])


def _ip(cli: MeshCli) -> str:
    (pod,) = cli.json("get", "pods")
    return str(pod["ip"])


def test_each_has_a_dashboard_and_another_token(meshes: dict[str, MeshCli]) -> None:
    told = {name: _dashboard(cli) for name, cli in meshes.items()}
    assert len({urlsplit(url).port for url, _ in told.values()}) == 2
    assert len({token for _, token in told.values()}) == 2
    for name, (url, _) in told.items():
        assert "<title>" in httpx2.get(url).text
        pods = httpx2.get(f"{url}api/v1/pods", params={"namespace": name}).json()["pods"]
        assert [pod["namespace"] for pod in pods] == [name]


def test_the_end_of_one_is_nothing_to_the_other(meshes: dict[str, MeshCli]) -> None:
    ending, other = meshes["first"], meshes["second"]
    gone, _ = _dashboard(ending)
    ending.ok("local", "down")
    try:
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(gone)
        assert httpx2.get(_page(other)).text == "second"
        assert httpx2.get(_dashboard(other)[0]).status_code == 200
    finally:
        _up(ending)
