"""A transparent mesh beginning and ending: it takes nothing that is not its own, and leaves
nothing behind.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from linkerd2_py.controlplane.local.state import state_dir
from tests.integration.local.mesh_cli import ENTRY, MeshCli, assert_ended, edit
from tests.integration.local.transparent_mesh import (
    Machine,
    get,
    make,
    pods,
    running,
    up,
)
from tests.support.netns import as_user, namespace, sh
from tests.support.privileges import need_root
from tests.support.processes import words_of
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def machine() -> Machine:
    need_root()
    return Machine()


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    """One running mesh for all tests that only look."""
    with running(tmp_path_factory.mktemp("transparent")) as made:
        yield made


def test_networks_of_others_are_left_alone(machine: Machine, tmp_path: Path) -> None:
    """A bridge and a namespace that look like ours in everything but the name."""
    made = make(tmp_path)
    sh("ip", "link", "add", "l5dt-br", "type", "bridge")
    try:
        sh("ip", "addr", "add", "10.209.0.1/16", "dev", "l5dt-br")
        sh("ip", "link", "set", "l5dt-br", "up")
        with namespace():
            before = Machine()
            up(made)
            assert not pods(made)["files-0"]["ip"].startswith("10.209.")
            assert get(made, "reader-0", "http://files/")[1] == "files"
            made.ok("local", "down")
            eventually(before.is_as_before)
    finally:
        made.stop()
        sh("ip", "link", "del", "l5dt-br")
    eventually(machine.is_as_before)


def test_down_leaves_the_machine_as_it_was(machine: Machine, tmp_path: Path) -> None:
    made = make(tmp_path)
    try:
        up(made)
        assert not machine.is_as_before()
        family = made.family()
        label = made.state()["network"]
        edit(tmp_path / "mesh.yaml", "replicas: 2", "replicas: 1")
        eventually(lambda: f"{label}-files-1" not in machine.now()["namespaces"])
        made.ok("local", "down")
        assert_ended(family)
        assert {path.name for path in (tmp_path / "state").iterdir()} == {"lock", "logs"}
    finally:
        made.stop()
    eventually(machine.is_as_before)


def test_a_namespace_that_somebody_still_looks_at_keeps_nothing_of_the_host(
    machine: Machine, tmp_path: Path
) -> None:
    """The kernel removes a namespace, and the links into it, when the last one who has it open lets go."""
    made = make(tmp_path)
    try:
        up(made)
        with Path("/run/netns", f"{made.state()['network']}-node").open():
            made.ok("local", "down")
            assert machine.is_as_before()
    finally:
        made.stop()


def test_a_killed_supervisor_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    made = make(tmp_path)
    try:
        up(made)
        family = made.family()
        os.kill(made.state()["pid"], signal.SIGKILL)
        assert_ended(family)
        eventually(machine.is_as_before, deadline_s=20)
        eventually(lambda: not (tmp_path / "state" / "etc").exists())
    finally:
        made.stop()


def test_the_next_up_removes_what_could_not_be_removed(machine: Machine, tmp_path: Path) -> None:
    made = make(tmp_path)
    try:
        up(made)
        family = made.family()
        label = made.state()["network"]
        # Guard first: nobody is left to clean up.
        guard = next(one for one in family if "".join(words_of(one)).endswith("guard.py"))
        guard.kill()
        os.kill(made.state()["pid"], signal.SIGKILL)
        assert_ended(family)
        assert f"{label}-files-0" in machine.now()["namespaces"]
        up(made)
        told = made.ok("local", "logs", "control-plane")
        assert f"removed what the mesh {label} had left" in told
        made.ok("local", "down")
    finally:
        made.stop()
    eventually(machine.is_as_before)


def test_ctrl_c_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    made = make(tmp_path)
    words = [*ENTRY[1:], "local", "up", "--transparent", "-f", "mesh.yaml"]
    child = pexpect.spawn(
        ENTRY[0],
        words,
        env=made.env | {"TERM": "xterm"},
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=60 * patience(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    child.expect("√.* network 10")
    child.expect("NAME +MESHED")
    family = made.family()
    child.sendintr()
    child.expect("stopping")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert_ended(family)
    eventually(machine.is_as_before)


def test_two_meshes_run_side_by_side(cli: MeshCli, tmp_path: Path) -> None:
    other = make(tmp_path)
    try:
        up(other)
        assert other.state()["network"] != cli.state()["network"]
        ours, theirs = pods(cli)["files-0"]["ip"], pods(other)["files-0"]["ip"]
        assert ours.split(".")[:2] != theirs.split(".")[:2]
        assert get(other, "reader-0", "http://files/")[1] == "files"
        other.ok("local", "down")
    finally:
        other.stop()
    assert get(cli, "reader-0", "http://files/")[1] == "files"


def test_without_root_it_is_one_line(tmp_path: Path) -> None:
    need_root()
    nobody = pwd.getpwnam("nobody").pw_uid
    done = sh(*as_user(nobody, [*ENTRY, "local", "up", "--transparent"]), check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs root: run it with sudo" in done.stderr


def test_a_program_that_is_missing_is_named_with_its_package(
    machine: Machine, tmp_path: Path
) -> None:
    made = make(tmp_path)
    (tmp_path / "bin").mkdir()
    ip = shutil.which("ip")
    assert ip is not None
    (tmp_path / "bin" / "ip").symlink_to(ip)
    done = sh(
        *("env", f"PATH={tmp_path / 'bin'}", f"LINKERD2_PY_STATE_DIR={tmp_path / 'state'}"),
        *(*ENTRY, "local", "up", "--transparent", "-d", "-f", str(made.root / "mesh.yaml")),
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "linkerd2-py: network: iptables-restore is not installed: install the package iptables\n"
    )
    assert machine.is_as_before()


def test_rules_that_cannot_be_written_keep_the_program_from_starting(
    machine: Machine, tmp_path: Path
) -> None:
    made = make(tmp_path)
    broken = tmp_path / "bin" / "iptables-nft-restore"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\ncat >/dev/null; echo 'iptables: no chain for you' >&2; exit 4\n")
    broken.chmod(0o755)
    path = f"PATH={broken.parent}:{os.environ['PATH']}"
    try:
        words = ("local", "up", "--transparent", "-d", "-f", str(made.root / "mesh.yaml"))
        done = sh(
            "env", path, f"LINKERD2_PY_STATE_DIR={tmp_path / 'state'}", *ENTRY, *words, check=False
        )
        assert done.returncode == 1
        reason = "pod reader-0: proxy-init exited with status 1: linkerd2-py proxy-init: iptables-nft-restore: iptables: no chain for you"  # fmt: skip
        assert reason in done.stderr
        assert pods(made)["reader-0"]["status"] == "Failed"
        logs = {path.stem for path in (tmp_path / "state" / "logs").iterdir()}
        # Neither proxy nor program of a pod without rules was ever started; who needs none runs.
        assert not {"reader-0", "reader-0-proxy", "reader-0-network-validator"} & logs
        assert pods(made)["outsider-0"]["status"] == "Running"
        assert "iptables: no chain" in made.ok("local", "logs", "reader-0", "-c", "init")
        made.ok("local", "down")
    finally:
        made.stop()
    assert machine.is_as_before()


def test_a_mesh_of_the_machine_is_seen_without_root(machine: Machine, tmp_path: Path) -> None:
    """Without a state directory of its own it is where every user finds it; only root may stop it or read its
    logs.
    """
    if state_dir.SYSTEM_STATE_DIR.joinpath("state.json").exists():
        pytest.skip("a mesh of this machine is running")
    made = make(tmp_path)
    env = {name: value for name, value in os.environ.items() if name != "LINKERD2_PY_STATE_DIR"}
    nobody = ("env", "HOME=/nonexistent", *as_user(65534, ENTRY))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False)

    try:
        mesh = str(made.root / "mesh.yaml")
        done = run(*ENTRY, "local", "up", "--transparent", "-d", "-f", mesh)
        assert done.returncode == 0, done.stderr
        assert stat.S_IMODE(state_dir.SYSTEM_STATE_DIR.stat().st_mode) == 0o755
        assert "files-0" in run(*nobody, "get", "pods").stdout
        assert "l5d" in run(*nobody, "local", "status").stdout
        down = run(*nobody, "local", "down")
        assert (down.returncode, down.stderr) == (
            1,
            "linkerd2-py: the local mesh belongs to another user: run this with sudo\n",
        )
        logs = run(*nobody, "local", "logs", "files-0")
        assert logs.stderr == (
            "linkerd2-py: the logs of this mesh belong to another user: run this with sudo\n"
        )
        entered = run(*nobody, "local", "exec", "files-0", "--", "true")
        assert entered.returncode == 1
        assert "needs root: run this with sudo" in entered.stderr
    finally:
        assert run(*ENTRY, "local", "down").stdout == "the local mesh is stopped\n"
    assert machine.is_as_before()


SWEEP = """
import asyncio
from linkerd2_py.controlplane.local.place.transparent.sweep import sweep_dead
print(asyncio.run(sweep_dead()))
"""


def test_leftovers_are_told_from_living_meshes(cli: MeshCli) -> None:
    """The sweep that an `up` begins with must not touch a mesh that runs."""
    label = cli.state()["network"]
    done = subprocess.run([ENTRY[0], "-c", SWEEP], capture_output=True, text=True, check=True)
    assert label not in done.stdout
    # Nor must a guard that comes late, when the label has been taken again.
    sh(ENTRY[0], "-m", "linkerd2_py.controlplane.local.place.transparent.sweep", label)
    assert all(psutil.pid_exists(one.pid) for one in cli.family())
    assert get(cli, "reader-0", "http://files/")[1] == "files"
