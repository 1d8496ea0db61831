"""The sample in pods, as its manifest has it: every program does its part, and the planted fault is there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linkerd2_py import __version__
from linkerd2_py.controlplane.local.sample.manifest import PROGRAMS, manifest
from tests.support.cluster.node.mesh import Mesh
from tests.support.cluster.node.node import Node
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(900)

ARCHIVE = "linkerd2-py-controller.tar"
IMAGE = f"docker.io/library/linkerd2-py-controller:{__version__}"
NAMESPACE = "sample-alone"
LONG_S = 180.0
GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())"


@pytest.fixture
def running(node: Node) -> Iterator[Node]:
    """With no proxy at all."""
    folder = Path(os.environ.get("L5D_IMAGES", Path(__file__).parents[3] / "build/image/out"))
    if not (folder / ARCHIVE).exists():
        pytest.skip(f"{folder / ARCHIVE} is not there: ./mesh image")
    node.load(folder / ARCHIVE)
    # Its profiles are of a kind that a mesh brings.
    Mesh(node).apply_kinds()
    established = ("--for=condition=Established", "--timeout=60s")
    node.kubectl("wait", *established, "crd/serviceprofiles.linkerd.io")
    text = manifest(namespace=NAMESPACE, image=IMAGE, pull_policy="Never")
    node.kubectl("apply", "-f", "-", stdin=text)
    yield node
    node.kubectl("delete", "-f", "-", "--wait=false", stdin=text)


def ask(node: Node, service: str, path: str) -> Any:
    """As somebody on the node; None while nobody answers well."""
    found = node.get(f"service/{service}", f"--namespace={NAMESPACE}")
    url = f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}{path}"
    done = node.inside("python3", "-c", GET, url)
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_every_program_of_the_sample_does_its_part(running: Node) -> None:
    for name in PROGRAMS:
        words = ("rollout", "status", f"deployment/{name}", f"--namespace={NAMESPACE}")
        running.kubectl(*words, f"--timeout={LONG_S:.0f}s")

    def done() -> bool:
        """Votes by gRPC behind HTTP, messages by WebSocket, lines of the feed that speaks first."""
        counted = ask(running, "vote-bot-svc", "/stats") or {}
        return {"votes", "messages", "lines"} <= set(counted)

    eventually(done, deadline_s=LONG_S, what="the bot has voted, chatted and listened")

    def votes() -> dict[str, int]:
        """None before one is counted: the bot counts a vote that failed, too."""
        view = ask(running, "web-svc", "/api/view") or {"emoji": []}
        found = {one["code"]: one["votes"] for one in view["emoji"]}
        return found if sum(found.values()) else {}

    assert eventually(votes, deadline_s=LONG_S, what="a vote is counted")["doughnut"] == 0
    words = ("logs", "--selector=app=voting", f"--namespace={NAMESPACE}", "--tail=-1")
    eventually(
        lambda: "VoteDoughnut failed" in running.kubectl(*words),
        deadline_s=LONG_S,
        what="the planted fault",
    )
