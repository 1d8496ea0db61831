"""A local mesh without proxies, through the command line: starts, edits, failures, ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.integration.local.mesh_cli import ENTRY, MeshCli, addresses_of, assert_ended, edit
from tests.support.wait import eventually, patience

SERVER = """
import os, socket
listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])))
print("serving", flush=True)
while True:
    listener.accept()[0].close()
"""
MESH = f"""
namespace: shop
services:
  web-svc: {{port: 80, targetPort: 8080, workload: web}}
workloads:
  web:
    command: [{sys.executable}, -S, server.py]
    meshed: false
    replicas: 2
"""


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[MeshCli]:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "mesh.yaml").write_text(MESH)
    made = MeshCli(tmp_path)
    yield made
    made.stop()


def _up(cli: MeshCli) -> str:
    return cli.ok("local", "up", "-f", "mesh.yaml", "--detach")


def _pods(cli: MeshCli) -> dict[str, str]:
    return {pod["name"]: pod["status"] for pod in cli.json("get", "pods")}


def test_up_status_and_down_leave_nothing(cli: MeshCli) -> None:
    out = _up(cli)
    assert "√ control plane\n" in out
    assert "√ pod web-1\n" in out
    assert "shop" in cli.ok("local", "status")
    assert _pods(cli) == {"web-0": "Running", "web-1": "Running"}
    assert cli.ok("local", "logs", "web-0") == "serving\n"
    endpoints = cli.json("diagnostics", "endpoints", "web-svc")
    assert {endpoint["pod"] for endpoint in endpoints} == {"web-0", "web-1"}
    family = cli.family()
    addresses = addresses_of(family)
    assert len(addresses) >= 4
    assert cli.ok("local", "down") == "the local mesh is stopped\n"
    assert_ended(family)
    # Not by their addresses: another mesh of this machine may have them by now.
    assert cli.left() == []
    assert not (cli.root / "state" / "state.json").exists()
    assert cli.ok("local", "down") == "no local mesh is running\n"


def test_a_second_up_is_refused(cli: MeshCli) -> None:
    _up(cli)
    second = cli.run("local", "up", "-d")
    assert second.status == 1
    assert "a local mesh is already running (pid" in second.err
    assert set(_pods(cli)) == {"web-0", "web-1"}


def test_edits_are_followed_and_bad_ones_are_not(cli: MeshCli) -> None:
    _up(cli)
    path = cli.root / "mesh.yaml"
    edit(path, "replicas: 2", "replicas: 3")
    eventually(lambda: set(_pods(cli)) == {"web-0", "web-1", "web-2"})
    edit(path, "replicas: 3", "replicas: many")
    log = eventually(
        lambda: [
            line for line in cli.ok("local", "logs", "control-plane").splitlines() if "many" in line
        ]
    )
    assert "mesh.yaml:9: workloads.web.replicas" in log[0]
    assert set(_pods(cli)) == {"web-0", "web-1", "web-2"}
    edit(path, "replicas: many", "replicas: 1")
    eventually(lambda: set(_pods(cli)) == {"web-0"})


def test_an_invalid_file_starts_nothing(cli: MeshCli) -> None:
    edit(cli.root / "mesh.yaml", "replicas: 2", "replicas: -1")
    done = cli.run("local", "up", "-f", "mesh.yaml", "-d")
    assert (done.status, done.out) == (1, "")
    assert "mesh.yaml:9: workloads.web.replicas" in done.err
    assert cli.run("local", "status").status == 1


def test_a_missing_command_is_named_and_the_rest_runs(cli: MeshCli) -> None:
    with (cli.root / "mesh.yaml").open("a") as file:
        file.write("  cart: {command: [no-such-command], meshed: false}\n")
    done = cli.run("local", "up", "-f", "mesh.yaml", "-d")
    assert done.status == 1
    assert "pod cart-0: command not found: 'no-such-command'" in done.err
    assert _pods(cli) == {"cart-0": "Failed", "web-0": "Running", "web-1": "Running"}
    check = cli.run("check", "--wait", "0s", "-o", "short")
    assert check.status == 1
    assert "× pods are running" in check.out


def test_a_killed_supervisor_leaves_nothing_and_the_next_up_works(cli: MeshCli) -> None:
    _up(cli)
    family = cli.family()
    os.kill(cli.state()["pid"], signal.SIGKILL)
    assert_ended(family)
    assert cli.run("local", "status").err.startswith("linkerd2-py: no local mesh is running")
    assert not (cli.root / "state" / "state.json").exists()
    _up(cli)


def _foreground(cli: MeshCli) -> pexpect.spawn[str]:
    """`local up` on a terminal, showing its table."""
    child = pexpect.spawn(
        ENTRY[0],
        [*ENTRY[1:], "local", "up", "-f", "mesh.yaml"],
        env=cli.env | {"TERM": "xterm"},
        cwd=str(cli.root),
        encoding="utf-8",
        timeout=30 * patience(),
        # A test run in the background ignores Ctrl-C, and so would everything it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    child.expect("√.* pod web-1")
    child.expect("NAME +MESHED")
    return child


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_stops_everything_when_interrupted(
    cli: MeshCli, end: signal.Signals
) -> None:
    child = _foreground(cli)
    family = cli.family()
    child.kill(end)
    child.expect("stopping")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert_ended(family)
    assert not (cli.root / "state" / "state.json").exists()


def test_the_foreground_draws_again_at_once_when_the_terminal_is_resized(cli: MeshCli) -> None:
    child = _foreground(cli)
    for columns in (60, 100):
        child.setwinsize(24, columns)
        child.expect_exact("\x1b[H\x1b[J")
        child.expect("NAME +MESHED")
    child.kill(signal.SIGINT)
    child.expect(pexpect.EOF)
    child.close()


def test_the_foreground_ends_well_when_the_mesh_is_stopped_elsewhere(cli: MeshCli) -> None:
    child = _foreground(cli)
    cli.ok("local", "down")
    child.expect("the local mesh was stopped")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_the_foreground_complains_when_the_mesh_is_killed(cli: MeshCli) -> None:
    child = _foreground(cli)
    os.kill(cli.state()["pid"], signal.SIGKILL)
    child.expect("the mesh has ended; see")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1


def test_the_mesh_ends_with_a_foreground_that_is_killed(cli: MeshCli) -> None:
    words = [*ENTRY[1:], "local", "up", "-f", "mesh.yaml"]
    child = pexpect.spawn(ENTRY[0], words, env=cli.env, cwd=str(cli.root), timeout=30 * patience())
    child.expect("pod web-1")
    family = eventually(cli.family)
    child.kill(signal.SIGKILL)
    child.close()
    assert_ended(family)
    assert cli.run("local", "status").status == 1
