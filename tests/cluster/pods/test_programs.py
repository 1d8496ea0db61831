"""The programs of the pods work by themselves: what fails in a pod is not their fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.wait import patience

PROGRAMS = Path(__file__).parent / "programs"


@contextmanager
def served(program: str) -> Iterator[str]:
    """Its address; it must end well when it is told to."""
    port = free_port()
    env = os.environ | {"HOST": "127.0.0.1", "PORT": str(port), "POD_NAME": "pod-7"}
    server = subprocess.Popen([sys.executable, PROGRAMS / program], env=env)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20 * patience()) in {0, -signal.SIGTERM}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAMS / words[0], *words[1:]],
        capture_output=True,
        text=True,
        timeout=50 * patience(),
        check=False,
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("program", "kind", "target"),
    [
        ("http_server.py", "http", "http://{}/x"),
        ("grpc_server.py", "grpc", "{}"),
        ("websocket_server.py", "ws", "ws://{}/"),
        ("speaks_first.py", "db", "{}"),
    ],
)
def test_a_server_says_which_pod_answers(program: str, kind: str, target: str) -> None:
    with served(program) as address:
        answers = lines(run("ask.py", kind, target.format(address), "2"))
    assert len(answers) == 2
    assert all("pod-7" in json.dumps(one) for one in answers)


def test_a_failure_is_a_status_and_a_reason() -> None:
    with served("http_server.py") as address:
        assert lines(run("ask.py", "http", f"http://{address}/"))
        done = subprocess.run(
            [sys.executable, PROGRAMS / "ask.py", "http", f"http://{address}/status/503"],
            env=os.environ | {"WAIT_S": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "503" in done.stderr


def test_load_counts_what_became_of_each_request() -> None:
    with served("http_server.py") as address:
        assert lines(run("ask.py", "http", f"http://{address}/"))
        *_, good = lines(run("load.py", f"http://{address}/", "100", "40"))
        *_, bad = lines(run("load.py", f"http://{address}/status/500", "100", "20"))
    assert (good["ok"], good["failed"], good["pods"]) == (40, {}, {"pod-7": 40})
    assert (bad["ok"], bad["failed"]) == (0, {"status 500": 20})
