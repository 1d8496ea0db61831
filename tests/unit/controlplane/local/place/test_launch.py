"""Programs started in a place of their own: another user, other files below /etc, another network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from linkerd2_py.controlplane.local.place import netns
from linkerd2_py.controlplane.local.place.placement import LAUNCH, Placement
from linkerd2_py.controlplane.local.place.transparent import programs
from linkerd2_py.controlplane.local.place.transparent.commands import Batch
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.programs.probe import Probe
from linkerd2_py.controlplane.local.programs.process import Program, start
from tests.support.privileges import need_root
from tests.support.wait import eventually_async, in_time

PYTHON = "/usr/bin/python3"
STRANGER = 54321
"""No account has this number."""
SHOW = """
import os
print(os.getuid(), os.getgid(), os.getgroups())
print(*[line.strip() for line in open("/proc/self/status") if line.startswith("CapEff")])
print(open("/etc/resolv.conf").read())
"""


@pytest.fixture(autouse=True)
def _root() -> None:
    need_root()


@pytest.fixture
def guard() -> Iterator[Guard]:
    made = Guard()
    yield made
    made.close()


@pytest.fixture
async def namespace() -> AsyncIterator[str]:
    name = f"l5dt-{os.getpid()}"
    await programs.apply([Batch("", (f"netns add {name}",)), Batch(name, ("link set lo up",))])
    yield name
    await programs.run("ip", "netns", "del", name)


def _resolv_conf() -> str:
    return Path("/etc/resolv.conf").read_text()


def _own_network() -> Path:
    return Path("/proc/thread-self/ns/net").readlink()


async def _run(script: str, *, place: Placement, folder: Path, guard: Guard) -> tuple[int, str]:
    env = {"PATH": os.environ["PATH"]}
    argv = (sys.executable, "-c", script)
    program = Program(argv=argv, env=env, cwd=folder, log=folder / "log", placement=place)
    process = start(program, guard=guard)
    status = await in_time(process.exited, 20)
    return status, program.log.read_text()


async def test_a_program_of_ours_has_no_privilege_but_to_read_its_interpreter(
    tmp_path: Path, guard: Guard
) -> None:
    place = Placement(uid=STRANGER, reach=Path(LAUNCH).parent)
    status, out = await _run(SHOW, place=place, folder=tmp_path, guard=guard)
    assert status == 0, out
    lines = out.splitlines()
    assert lines[0] == f"{STRANGER} {STRANGER} []"
    assert int(lines[1].split()[1], 16) & ~(1 << 2) == 0
    assert lines[2:] == [*_resolv_conf().splitlines(), ""]


@pytest.mark.skipif(not Path(PYTHON).exists(), reason=f"needs {PYTHON}")
def test_a_stranger_may_read_files_only_where_its_folder_is_out_of_reach() -> None:
    """With an interpreter and a copy of the package's file that everybody can read."""
    with TemporaryDirectory() as made:
        open_to_all, closed = Path(made), Path(made, "closed")
        own = closed / "own"
        own.mkdir(parents=True)
        os.chown(own, STRANGER, STRANGER)
        shutil.copy(LAUNCH, open_to_all)
        open_to_all.chmod(0o755)

        def run(*words: str) -> tuple[int, int]:
            argv = [PYTHON, "-I", "-S", open_to_all / "launch.py", str(os.getpid()), "0"]
            place = ["--uid", str(STRANGER), *words]
            done = subprocess.run(
                [*argv, *place, "--", "sh", "-c", f"grep CapEff /proc/self/status; touch {own}/x"],
                capture_output=True,
                check=False,
            )
            return done.returncode, int(done.stdout.split()[1], 16)

        read_files = 1 << 2
        closed.chmod(0o700)
        assert run() == (1, 0)
        assert run("--reach", str(own)) == (0, read_files)
        assert (own / "x").stat().st_uid == STRANGER
        closed.chmod(0o711)
        assert run("--reach", str(own)) == (0, 0)


async def test_a_program_of_a_mesh_has_no_capability_wherever_it_is(
    tmp_path: Path, guard: Guard
) -> None:
    """Neither to use, nor to take up again, nor to leave to what it starts."""
    place = Placement(uid=STRANGER)
    log = tmp_path / "log"
    program = Program(
        argv=("grep", "Cap[IPEA]", "/proc/self/status"),
        env={"PATH": os.environ["PATH"]},
        cwd=Path("/"),
        log=log,
        placement=place,
    )
    process = start(program, guard=guard)
    assert await in_time(process.exited, 20) == 0, log.read_text()
    found = dict(line.split(":\t") for line in log.read_text().splitlines())
    assert found.keys() == {"CapInh", "CapPrm", "CapEff", "CapAmb"}
    assert {int(bits, 16) for bits in found.values()} == {0}


async def test_files_of_etc_are_covered_for_the_program_alone(tmp_path: Path, guard: Guard) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "resolv.conf").write_text("nameserver 192.0.2.9\n")
    (etc / "of-no-such-name").write_text("")
    before = _resolv_conf()
    place = Placement(etc=etc, uid=STRANGER, reach=Path(LAUNCH).parent)
    status, out = await _run(SHOW, place=place, folder=tmp_path, guard=guard)
    assert status == 0, out
    assert out.splitlines()[2] == "nameserver 192.0.2.9"
    assert _resolv_conf() == before


async def test_a_program_in_a_namespace_is_found_there_only(
    tmp_path: Path, guard: Guard, namespace: str
) -> None:
    script = (
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); s.accept()[0].recv(9); s.accept()"
    )
    program = Program(
        argv=(sys.executable, "-c", script),
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        log=tmp_path / "log",
        placement=Placement(netns=namespace),
    )
    process = start(program, guard=guard)
    await eventually_async(lambda: program.log.read_text().endswith("\n"))
    port = int(program.log.read_text())
    assert await Probe("127.0.0.1", port, netns=namespace).answered()
    assert not await Probe("127.0.0.1", port).answered()
    # Still ours, still tied to us, whatever its place is.
    await process.stop(grace_s=0.1)


async def test_a_place_that_is_not_there_is_one_line(tmp_path: Path, guard: Guard) -> None:
    place = Placement(netns="l5dt-no-such")
    status, out = await _run("", place=place, folder=tmp_path, guard=guard)
    assert (status, out.count("\n")) == (127, 1)
    assert "No such file or directory" in out


async def test_a_thread_comes_back_from_a_namespace(namespace: str) -> None:
    own = _own_network()
    with netns.entered(namespace):
        assert _own_network() != own
    assert _own_network() == own
    with pytest.raises(FileNotFoundError), netns.entered("l5dt-no-such"):
        pass
    assert _own_network() == own


async def test_a_refused_command_says_which_in_one_line(namespace: str) -> None:
    with pytest.raises(programs.NetworkError) as caught:
        await programs.apply([Batch(namespace, ("link set no-such-link up",))])
    assert str(caught.value).startswith(f"ip -n {namespace} -batch -: ")
    assert "\n" not in str(caught.value)
