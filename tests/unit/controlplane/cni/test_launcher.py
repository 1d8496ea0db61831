"""The launcher alone, and with an agent that does what agents should not do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.cni import build_launcher

Act = Callable[[socket.socket], None]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cni")
    build_launcher(made, socket=made / "s")
    return made


def run(
    folder: Path, command: str, *, stdin: bytes = b"{}", **env: str
) -> subprocess.CompletedProcess[bytes]:
    words = {"CNI_COMMAND": command, **env} if command else env
    return subprocess.run(
        [folder / "linkerd-cni"], input=stdin, env=words, capture_output=True, check=False
    )


@contextmanager
def agent(folder: Path, act: Act) -> Iterator[None]:
    """Takes one call and does with it what it wants."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(30)

        def serve() -> None:
            launcher, _ = server.accept()
            with launcher, suppress(ConnectionError):
                launcher.settimeout(30)
                act(launcher)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join()
            path.unlink()


def read_all(launcher: socket.socket) -> bytes:
    return b"".join(iter(lambda: launcher.recv(65536), b""))


def test_it_is_one_file_that_needs_nothing(folder: Path) -> None:
    """No interpreter is named in it, which is who loads libraries."""
    said = subprocess.run(
        ["readelf", "-l", folder / "linkerd-cni"], capture_output=True, text=True, check=True
    )
    assert "LOAD" in said.stdout
    assert "INTERP" not in said.stdout
    assert (folder / "linkerd-cni").stat().st_size < 2 << 20


def test_versions_need_nobody(folder: Path) -> None:
    done = run(folder, "VERSION")
    assert done.returncode == 0
    assert set(json.loads(done.stdout)["supportedVersions"]) > {"0.3.1", "0.4.0", "1.0.0"}


@pytest.mark.parametrize("command", ["DEL", "GC"])
def test_what_is_taken_away_goes_without_an_agent(folder: Path, command: str) -> None:
    done = run(folder, command, CNI_NETNS="/gone")
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize(("command", "code"), [("ADD", 11), ("CHECK", 11), ("STATUS", 50)])
def test_nobody_there_fails_and_is_tried_again(folder: Path, command: str, code: int) -> None:
    done = run(folder, command)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["code"] == code
    assert "DaemonSet linkerd-cni" in told["msg"]


def test_words_that_are_none(folder: Path) -> None:
    assert json.loads(run(folder, "EXPLODE").stdout)["code"] == 4
    done = run(folder, "")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"CNI plugin" in done.stderr
    done = run(folder, "ADD", CNI_NETNS="/nowhere")
    assert json.loads(done.stdout)["details"] == "No such file or directory"


def test_all_of_it_arrives_with_the_namespace(folder: Path) -> None:
    heard: list[object] = []

    def act(launcher: socket.socket) -> None:
        _, found, _, _ = socket.recv_fds(launcher, 1, 4)
        heard.append(os.fstat(found[0]).st_ino)
        os.close(found[0])
        heard.append(read_all(launcher))
        launcher.sendall(b"0 5\nhello")

    config = b"x" * 300_000
    with agent(folder, act):
        done = run(folder, "ADD", stdin=config, CNI_NETNS="/proc/self/ns/net", CNI_ARGS="a=b;c=")
    assert (done.returncode, done.stdout) == (0, b"hello")
    assert heard[0] == Path("/proc/self/ns/net").stat().st_ino
    wanted = b"CNI_COMMAND=ADD\0CNI_NETNS=/proc/self/ns/net\0CNI_ARGS=a=b;c=\0\0" + config
    assert heard[1] == wanted


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"0",
        b"0 5\nhell",
        b"0 5\nhello!",
        b"hello\n",
        b"0 99999999\nx",
        b"0 -1\nx",
        b"0 5000000\n" + b"x" * 5_000_000,
    ],
)
def test_an_answer_that_is_not_whole_is_none(folder: Path, answer: bytes) -> None:
    def act(launcher: socket.socket) -> None:
        read_all(launcher)
        launcher.sendall(answer)

    with agent(folder, act):
        done = run(folder, "ADD")
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 11


def test_a_question_that_is_not_heard_to_its_end_fails(folder: Path) -> None:
    def act(launcher: socket.socket) -> None:
        launcher.recv(10)
        launcher.sendall(b"1 2\nno")
        launcher.shutdown(socket.SHUT_RD)

    with agent(folder, act):
        done = run(folder, "ADD", stdin=b"x" * 3_000_000)
    assert done.returncode == 1
    # The refusal itself, or that the agent has gone, whichever the launcher came to know first.
    assert done.stdout == b"no" or json.loads(done.stdout)["code"] == 11


def test_an_agent_that_dies_is_no_answer(folder: Path) -> None:
    with agent(folder, lambda launcher: launcher.recv(1) and None):
        done = run(folder, "ADD", stdin=b"x" * 3_000_000)
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 11
