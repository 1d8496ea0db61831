"""`top` and `tap` in a real terminal: keys do what they say, and what strangers write into requests is
text.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.local.mesh_cli import ENTRY, MeshCli
from tests.support.tmux import Tmux, terminal
from tests.support.wait import eventually, patience

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]

PLANTED = Path(__file__).with_name("planted")
MESH = """
namespace: shop
services:
  web-svc: {{port: 80, targetPort: 8080, workload: web}}
workloads:
  web: {{command: [{python}, -S, server.py]}}
  buyer:
    command: [{python}, -S, client.py]
    outbound: [web-svc]
    env: {{CALLS: "WEB_SVC_ADDR /often 0.05; WEB_SVC_ADDR /seldom 0.5"}}
"""
# Each would do something if it came to a terminal as it is: a title, a clear screen, a colour by one byte,
# markup.
HOSTILE = {
    b"/title\x1b]2;stolen\x07": "",
    b"/clear\x1b[2J\x1b[H": "",
    b"/colour\xc2\x9b31m": "/colour%C2%9B31m",
    b"/\xe2\x80\xaereversed": "/%E2%80%AEreversed",
    b"/[bold]markup[/bold]": "/[bold]markup[/bold]",
    b"/escaped%1b]2;stolen%07": "/escaped%1b]2;stolen%07",
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    cli = MeshCli(tmp_path_factory.mktemp("terminal"))
    for name in ("server.py", "client.py"):
        shutil.copy(PLANTED / name, cli.root)
    (cli.root / "mesh.yaml").write_text(MESH.format(python=sys.executable))
    try:
        cli.ok("local", "up", "-f", "mesh.yaml", "--detach", timeout_s=120)
        yield cli
    finally:
        cli.stop()


def seen(cli: MeshCli, folder: Path, *words: str) -> contextlib.AbstractContextManager[Tmux]:
    env = {name: cli.env[name] for name in ("LINKERD2_PY_STATE_DIR", "PATH") if name in cli.env}
    if "PYTHONPATH" in os.environ:
        env["PYTHONPATH"] = str(Path(os.environ["PYTHONPATH"]).resolve())
    return terminal(folder, [*ENTRY, *words], env=env, cwd=cli.root)


def ask(cli: MeshCli, path: bytes) -> bytes:
    """The first line of what is answered; the request is written as it is."""
    page = urlsplit(str(cli.state()["links"]["web-svc"]))
    with socket.create_connection((page.hostname, page.port), timeout=10 * patience()) as client:
        client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: web-svc\r\nConnection: close\r\n\r\n")
        return client.makefile("rb").readline()


def test_top_sorts_filters_pauses_and_quits(mesh: MeshCli, tmp_path: Path) -> None:
    with seen(mesh, tmp_path, "top", "deploy/web") as shown:
        shown.shows("deploy/web: 1 pod", "/often", "/seldom", "Count▼")
        screen = shown.screen()
        # The most first.
        assert screen.index("/often") < screen.index("/seldom")
        shown.keys("r")
        shown.shows("Count▲")
        screen = shown.screen()
        assert screen.index("/seldom") < screen.index("/often")
        shown.keys("s")
        shown.shows("▼", without="Count▲")
        shown.keys("/")
        shown.keys("-l", "seldom")
        shown.shows("/seldom", without="/often")
        shown.keys("Escape")
        shown.shows("/often")
        shown.keys("Space")
        shown.shows("PAUSED")
        shown.keys("?")
        shown.shows("any key closes it")
        shown.keys("x")
        shown.shows("/often", without="any key closes it")
        shown.do("resize-window", "-x", "80", "-y", "12")
        shown.shows("deploy/web: 1 pod")
        shown.keys("q")
        assert shown.ended() == 0


@pytest.mark.parametrize("command", ["top", "tap"])
def test_what_strangers_write_is_text(mesh: MeshCli, tmp_path: Path, command: str) -> None:
    with seen(mesh, tmp_path, command, "deploy/web") as shown:
        title = shown.title()
        shown.shows("/often")
        for path, told in HOSTILE.items():
            answer = ask(mesh, path)
            # What no request may hold is refused before anybody is told of it.
            assert answer.split()[1] == (b"200" if told else b"400"), (path, answer)
            if told and command == "tap":
                told_of(shown, f":path={told}")
        if command == "top":
            shown.shows(*(told for told in HOSTILE.values() if told))
        assert shown.title() == title
        shown.keys("q" if command == "top" else "C-c")
        assert shown.ended() == (0 if command == "top" else 130)
    written = shown.written.read_bytes()
    for raw in (b"\x1b]2;stolen", b"\x1b]0;stolen", b"\xc2\x9b31m", b"\xe2\x80\xae"):
        assert raw not in written


def told_of(shown: Tmux, text: str) -> None:
    """It was written, though it may have been scrolled out since."""
    eventually(lambda: text.encode() in shown.written.read_bytes(), what=text)
