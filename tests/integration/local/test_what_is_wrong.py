"""What a person is told of a mesh that is not as it should be: pods that nobody reaches, edits that are
refused, programs that crash.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.local.mesh_cli import MeshCli, edit
from tests.support.processes import words_of
from tests.support.wait import eventually, patience

# Listens where the command line says: at the pod's own address, or somewhere that nobody asks.
SERVER = """
import os, socket, sys
host = os.environ["HOST"] if sys.argv[1] == "here" else "127.0.0.1"
listener = socket.create_server((host, int(os.environ["PORT"])) if sys.argv[1] == "here" else (host, 0))
while True:
    listener.accept()[0].close()
"""
MESH = f"""
namespace: shop
services:
  web-svc: {{port: 80, targetPort: 8080, workload: web}}
workloads:
  web: {{command: [{sys.executable}, -S, server.py, here], meshed: false, replicas: 2}}
"""


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[MeshCli]:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "mesh.yaml").write_text(MESH)
    made = MeshCli(tmp_path)
    yield made
    made.stop()


def up(cli: MeshCli) -> None:
    cli.ok("local", "up", "-f", "mesh.yaml", "--detach")


def pods(cli: MeshCli) -> dict[str, dict[str, Any]]:
    return {pod["name"]: pod for pod in cli.json("get", "pods")}


def failures(cli: MeshCli, outcome: str = "error") -> dict[str, str]:
    """What `check` finds wrong."""
    checks = json.loads(cli.run("check", "--wait", "0s", "-o", "json").out)
    return {
        check["description"]: check["error"]
        for category in checks["categories"]
        for check in category["checks"]
        if check["result"] == outcome
    }


def test_a_pod_that_is_never_ready_says_where_its_program_listens(cli: MeshCli) -> None:
    edit(cli.root / "mesh.yaml", "here", "elsewhere")
    done = cli.run("local", "up", "-f", "mesh.yaml", "--detach", "--wait", "4s")
    reason = r"nothing answers on 127\.\S+:8080 \(the program listens on 127\.0\.0\.1:\d+\)"
    assert done.status == 1
    assert re.search(rf"× pod web-0: {reason}\n", done.err), done.err
    pod = pods(cli)["web-0"]
    assert (pod["status"], pod["ready"]) == ("Running", False)
    assert re.fullmatch(reason, pod["problem"])
    for table in (cli.ok("get", "pods"), cli.ok("local", "status")):
        assert re.search(rf"web-0 +no +Running .* {reason}\n", table), table
    assert re.fullmatch(
        rf"2 of 2 pods not ready: shop/web-0 \({reason}\), shop/web-1 \({reason}\)",
        failures(cli)["pods are ready"],
    )


def test_a_replacement_that_does_not_come_is_told(cli: MeshCli) -> None:
    up(cli)
    edit(cli.root / "mesh.yaml", "here", "elsewhere")

    def told() -> bool:
        log = cli.ok("local", "logs", "control-plane")
        return (
            re.search(r"pod web-\d: nothing answers on .* \(the program listens on", log)
            is not None
        )

    eventually(told, deadline_s=60)
    assert [name for name, pod in pods(cli).items() if pod["ready"]] == ["web-1"]
    assert list(failures(cli)) == ["pods are ready"]


def test_an_edit_that_is_refused_is_shown_until_it_is_mended(cli: MeshCli) -> None:
    up(cli)
    edit(cli.root / "mesh.yaml", "replicas: 2", "replicas: many")
    found = eventually(lambda: failures(cli))
    assert list(found) == ["mesh.yaml is followed"]
    assert "mesh.yaml:6: workloads.web.replicas" in found["mesh.yaml is followed"]
    assert re.search(
        r"× mesh\.yaml is followed: \S+/mesh\.yaml:6: workloads", cli.ok("local", "status")
    )
    assert cli.json("local", "status")["problems"][0]["status"] == "error"
    edit(cli.root / "mesh.yaml", "replicas: many", "replicas: 1")
    eventually(lambda: not failures(cli))
    assert "×" not in cli.ok("local", "status")


def test_a_crash_is_counted_and_its_reason_stays(cli: MeshCli) -> None:
    up(cli)
    (pid,) = (one.pid for one in cli.family() if one.environ().get("POD_NAME") == "web-1")
    os.kill(pid, signal.SIGSEGV)
    eventually(lambda: pods(cli)["web-1"]["restarts"] == 1 and pods(cli)["web-1"]["ready"])
    assert pods(cli)["web-1"]["last_exit"] == "program ended by SIGSEGV"
    assert re.search(
        r"web-1 +yes .* 1 \(\d+s ago\) .* program ended by SIGSEGV\n", cli.ok("get", "po")
    )
    assert "web-1: ended by SIGSEGV; started again in 0.5s" in cli.ok(
        "local", "logs", "control-plane"
    )


def test_a_guard_that_dies_is_replaced_and_that_is_said(cli: MeshCli) -> None:
    up(cli)

    def guards() -> list[psutil.Process]:
        return [one for one in cli.family() if any("guard.py" in word for word in words_of(one))]

    (first,) = guards()
    first.kill()
    eventually(lambda: [one.pid for one in guards()] not in ([], [first.pid]))
    said = "it was started again once: ended by SIGKILL"
    assert failures(cli, "warning")["guard has run from the start"] == said
    assert f"‼ guard has run from the start: {said}" in cli.ok("local", "status")
    family = cli.family()
    os.kill(cli.state()["pid"], signal.SIGKILL)
    assert not psutil.wait_procs(family, timeout=10 * patience())[1]
