"""Our HTTP/2 codec against independent programs: gRPC, and nghttpd, curl and h2load where installed."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http2.testing import ClientDoor, FixedServer, RecorderPeer, ServerDoor
from tests.contract.http2.peers import Scene
from tests.support.ports import free_port, is_listening
from tests.support.wait import eventually, patience


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture
def fixed(scene: Scene) -> Iterator[FixedServer]:
    server = FixedServer(scene.loop, "127.0.0.1", 0)
    yield server
    server.close()


def run(scene: Scene, *command: str) -> str:
    """Output of a program that talks to the scene's loop."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=plain_environment()
    ) as program:
        try:
            scene.until(lambda: program.poll() is not None, timeout_s=30)
        finally:
            program.kill()
        assert program.stdout is not None
        return program.stdout.read().decode()


def plain_environment() -> dict[str, str]:
    """Ours without what a sanitized run preloads: that is meant for Python alone."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


@needs("curl")
def test_curl_gets_its_answer(scene: Scene, fixed: FixedServer) -> None:
    url = f"http://127.0.0.1:{fixed.address.port}/some/path"
    out = run(scene, "curl", "-s", "--http2-prior-knowledge", "-d", "x" * 5000, "-i", url)
    assert out.startswith("HTTP/2 200")
    assert out.endswith("x" * 128)


@needs("h2load")
def test_h2load_loses_no_request(scene: Scene, fixed: FixedServer) -> None:
    url = f"http://127.0.0.1:{fixed.address.port}/"
    out = run(scene, "h2load", "-n", "3000", "-c", "7", "-m", "50", url)
    assert re.search(r"3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed", out), out
    assert fixed.requests == 3000


@pytest.fixture
def nghttpd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(b"content" * 30_000)
    port = free_port()
    command = ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-m", "10", "--echo-upload"]
    with subprocess.Popen(
        [*command, "-d", str(tmp_path), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=plain_environment(),
    ) as program:
        try:
            eventually(lambda: is_listening(("127.0.0.1", port)))
            yield port
        finally:
            program.kill()


@needs("nghttpd")
def test_our_client_against_nghttpd(scene: Scene, nghttpd: int) -> None:
    sock = socket.create_connection(("127.0.0.1", nghttpd))
    sock.setblocking(False)
    door = ClientDoor(scene.loop, sock.detach(), Limits())
    scene.doors.append(door)
    scene.until(lambda: door.room() == 10)
    peers = []
    for _ in range(60):
        scene.until(lambda: door.room() > 0)
        peer = door.open()
        peer.request(b"GET", b"/file", b"test", [(b"Accept", b"*/*")])
        peers.append(peer)
        assert door.live() <= 10
    upload = door.open() if door.room() else None
    scene.until(lambda: door.room() > 0)
    upload = upload or door.open()
    upload.request(b"POST", b"/echo", b"test", end=False)
    upload.send(b"u" * 200_000, end=True)
    peers.append(upload)
    scene.until(lambda: all(peer.ended for peer in peers), timeout_s=20)
    assert all(peer.body == b"content" * 30_000 for peer in peers[:-1])
    assert upload.body == b"u" * 200_000
    door.retire()
    scene.until(lambda: door.over)


def test_a_grpc_client_streams_through_our_server(scene: Scene) -> None:
    def echo(peer: RecorderPeer, name: str) -> None:
        if name == "head":
            peer.respond(200, [(b"content-type", b"application/grpc")])
        elif name == "end":
            peer.send(peer.body)
            peer.trailers([(b"grpc-status", b"0"), (b"grpc-message", b"")])

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(1) as pool,
        grpc.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}") as channel,
    ):
        call = channel.stream_stream("/test.Echo/Stream")
        sent = [bytes([n]) * 50_000 for n in range(40)]
        future = pool.submit(lambda: list(call(iter(sent), timeout=20 * patience())))
        ours = listener.accept()[0]
        ours.setblocking(False)
        door = ServerDoor(scene.loop, ours.detach(), Limits(), echo)
        scene.doors.append(door)
        scene.until(future.done, timeout_s=30)
        assert future.result() == sent
        assert door.peers[0].events[0][1]["is_grpc"] is True
        assert not door.over
