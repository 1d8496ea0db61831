"""The agent at its socket: who may ask, what it makes of half a question, and that it survives anything."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client

from linkerd2_py.controlplane.cni.agent import Agent, serve_agent
from linkerd2_py.controlplane.cni.rules import Rules
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from tests.support.ports import free_port
from tests.support.privileges import nobody_words
from tests.support.wait import in_time

CONFIGURATION = json.dumps({"cniVersion": "1.0.0", "name": "n", "type": "linkerd-cni"}).encode()
ARGS = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web"
LIMIT_S = 30.0
STRANGER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    try:
        s.sendall(b"\\0CNI_COMMAND=STATUS\\0\\0{}")
        s.shutdown(socket.SHUT_WR)
        print(s.recv(100) or "heard nothing")
    except ConnectionError:
        print("heard nothing")
"""


class Answers:
    """What the agent says went well."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool]] = []
        self.trouble = ""

    def hear(self, command: str, well: bool) -> None:
        self.heard.append((command, well))


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def agent(answers: Answers) -> AsyncIterator[Agent]:
    """Whose API server is not there."""
    api = ApiServer(client.Configuration(host=f"http://127.0.0.1:{free_port()}"))
    yield Agent(api, rules=Rules(), trouble=lambda: answers.trouble, on_answer=answers.hear)
    await api.close()


def question(command: str, *, args: str = "", configuration: bytes = CONFIGURATION) -> bytes:
    return f"CNI_COMMAND={command}\0CNI_ARGS={args}\0\0".encode() + configuration


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def open_up(path: Path) -> None:
    """What nobody but its owner could use."""
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    path.chmod(0o777)


async def ask(path: Path, whole: bytes, *, first: bytes = b"\0") -> tuple[int, Any]:
    """Status and answer; -1 where the agent says nothing."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(first + whole)
        writer.write_eof()
        head, _, body = (await in_time(reader.read(), LIMIT_S)).partition(b"\n")
    except ConnectionError:
        return -1, None
    finally:
        writer.close()
    if not head:
        return -1, None
    status, length = head.split()
    assert len(body) == int(length)
    return int(status), json.loads(body) if body else None


async def test_who_is_not_of_kubernetes_is_passed_through(
    agent: Agent, answers: Answers, tmp_path: Path
) -> None:
    async with serve_agent(agent, tmp_path / "a" / "s"):
        assert await ask(tmp_path / "a" / "s", question("ADD")) == (0, {"cniVersion": "1.0.0"})
        assert await ask(tmp_path / "a" / "s", question("CHECK")) == (0, None)
    assert answers.heard == [("ADD", True), ("CHECK", True)]
    assert not (tmp_path / "a" / "s").exists()


async def test_a_pod_waits_for_an_api_server_that_is_away(
    agent: Agent, answers: Answers, tmp_path: Path
) -> None:
    async with serve_agent(agent, tmp_path / "s"):
        status, said = await ask(tmp_path / "s", question("ADD", args=ARGS))
    assert (status, said["code"]) == (1, 11)
    assert "the API server" in said["msg"]
    assert answers.heard == [("ADD", False)]


async def test_status_says_what_is_wrong_with_the_node(
    agent: Agent, answers: Answers, tmp_path: Path
) -> None:
    async with serve_agent(agent, tmp_path / "s"):
        assert await ask(tmp_path / "s", question("STATUS")) == (0, None)
        answers.trouble = "10-x.conflist: it is not JSON"
        status, said = await ask(tmp_path / "s", question("STATUS"))
    assert (status, said["code"]) == (1, 50)
    assert said["msg"].endswith("10-x.conflist: it is not JSON")


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        b"CNI_COMMAND=ADD",
        b"CNI_COMMAND=ADD\0",
        b"\0",
        os.urandom(1000).replace(b"\0", b"x"),
        b"x" * (5 << 20),
    ],
    ids=["nothing", "half", "no-end", "only-end", "noise", "huge"],
)
async def test_what_is_no_question_is_not_answered_and_the_next_one_is(
    agent: Agent, tmp_path: Path, whole: bytes
) -> None:
    async with serve_agent(agent, tmp_path / "s"):
        assert await ask(tmp_path / "s", whole) == (-1, None)
        assert (await ask(tmp_path / "s", question("ADD")))[0] == 0


@pytest.mark.parametrize(
    ("command", "configuration", "code"),
    [("EXPLODE", CONFIGURATION, 4), ("ADD", b"{", 6), ("ADD", b'{"cniVersion": "9"}', 1)],
)
async def test_a_question_that_makes_no_sense_is_told_so(
    agent: Agent, tmp_path: Path, command: str, configuration: bytes, code: int
) -> None:
    async with serve_agent(agent, tmp_path / "s"):
        status, said = await ask(tmp_path / "s", question(command, configuration=configuration))
    assert (status, said["code"]) == (1, code)


async def test_descriptors_that_came_along_are_closed(agent: Agent, tmp_path: Path) -> None:
    """Those of a question and those of half a one; whatever is left open fails the test."""
    loop = asyncio.get_running_loop()
    async with serve_agent(agent, tmp_path / "s"):
        for whole in (question("ADD"), b"half"):
            one = os.open("/proc/self/ns/net", os.O_RDONLY)
            with socket.socket(socket.AF_UNIX) as launcher:
                launcher.connect(str(tmp_path / "s"))
                socket.send_fds(launcher, [b"\0"], [one])
                os.close(one)
                launcher.sendall(whole)
                launcher.shutdown(socket.SHUT_WR)
                launcher.setblocking(False)
                while await in_time(loop.sock_recv(launcher, 4096), LIMIT_S):
                    pass


async def test_root_alone_may_ask(agent: Agent, tmp_path: Path) -> None:
    """By the socket's mode, and by who they are, where somebody has opened the way to it."""
    words = nobody_words("/usr/bin/python3", "-c", STRANGER)
    with tempfile.TemporaryDirectory() as open_to_all:
        path = Path(open_to_all, "s")
        path.parent.chmod(0o755)
        async with serve_agent(agent, path):
            open_up(path)
            done = await asyncio.to_thread(
                subprocess.run, [*words, path], capture_output=True, text=True
            )
            assert (await ask(path, question("ADD")))[0] == 0
    assert done.stdout == "heard nothing\n", done


async def test_the_newer_of_two_agents_has_the_socket(agent: Agent, tmp_path: Path) -> None:
    async with serve_agent(agent, tmp_path / "s"):
        first = (tmp_path / "s").stat().st_ino
        newer = serve_agent(agent, tmp_path / "s")
        await newer.__aenter__()
        assert (tmp_path / "s").stat().st_ino != first
    # The older one has not taken it along.
    assert (await ask(tmp_path / "s", question("ADD")))[0] == 0
    await newer.__aexit__(None, None, None)
    assert names(tmp_path) == []


async def test_a_place_where_none_can_be_is_named(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "s", tmp_path / ("x" * 200)):
        with pytest.raises(BindError, match="cannot be listened at"):
            async with serve_agent(agent, path):
                pass
