"""Child processes: groups, output, exits, and that nothing outlives its supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from linkerd2_py.base.clock import ManualClock, SystemClock
from linkerd2_py.base.tasks import spawn, supervise
from linkerd2_py.controlplane.local.programs import container as containers
from linkerd2_py.controlplane.local.programs import guard as guards
from linkerd2_py.controlplane.local.programs.container import Container, last_line
from linkerd2_py.controlplane.local.programs.exits import describe_exit
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.programs.process import Program, start
from tests.support.wait import eventually, eventually_async, in_time, patience


@pytest.fixture
def guard() -> Iterator[Guard]:
    made = Guard()
    yield made
    made.close()
    made.close()


def _program(tmp_path: Path, script: str, *, argv: tuple[str, ...] = ()) -> Program:
    env = {"PATH": os.environ["PATH"]}
    return Program(argv=argv or ("sh", "-c", script), env=env, cwd=tmp_path, log=tmp_path / "log")


async def test_output_and_status(tmp_path: Path, guard: Guard) -> None:
    process = start(_program(tmp_path, "echo out; echo err >&2; exit 3"), guard=guard)
    assert await in_time(process.exited, 5) == 3
    assert (tmp_path / "log").read_text() == "out\nerr\n"
    process.signal(signal.SIGTERM)


LIMITS = """
import resource, signal, subprocess, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, most))
from linkerd2_py.controlplane.local.programs.process import launch_argv, raise_files_limit
raise_files_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most), flush=True)
subprocess.run(launch_argv(["sh", "-c", "ulimit -Sn; ulimit -Hn"], death_signal=signal.SIGKILL))
print(most)
"""


def test_the_descriptors_of_the_supervisor_are_not_those_of_its_programs() -> None:
    """Some programs make a table of all that they may have."""
    argv = [sys.executable, "-c", LIMITS]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    raised, soft, hard, most = done.stdout.split()
    assert (raised, soft) == ("True", "200")
    assert hard in {most, "unlimited"}


async def test_stop_is_polite_first(tmp_path: Path, guard: Guard) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"
    process = start(_program(tmp_path, script), guard=guard)
    await eventually_async(lambda: _text(tmp_path / "log") == "up\n")
    assert await process.stop(grace_s=5) == 0
    assert _text(tmp_path / "log").startswith("up\n")


async def test_stop_kills_after_the_grace(tmp_path: Path, guard: Guard) -> None:
    script = "trap '' TERM; echo up; while :; do sleep 0.01; done"
    process = start(_program(tmp_path, script), guard=guard)
    await eventually_async(lambda: _text(tmp_path / "log") == "up\n")
    assert await process.stop(grace_s=0.05) == -signal.SIGKILL


async def test_what_a_program_left_in_its_group_ends_with_it(tmp_path: Path, guard: Guard) -> None:
    process = start(_program(tmp_path, "sleep 60 & echo $!"), guard=guard)
    await in_time(process.exited, 5)
    orphan = int(_text(tmp_path / "log"))
    await eventually_async(lambda: not _alive(orphan))


async def test_container_restarts_until_stopped(tmp_path: Path, guard: Guard) -> None:
    changes: list[int] = []
    container = Container(
        _program(tmp_path, "echo last words; exit 4"),
        guard=guard,
        clock=SystemClock(),
        on_change=lambda: changes.append(1),
    )
    running = spawn(container.run(), name="container")
    await eventually_async(lambda: container.restarts >= 1)
    assert container.problem == "exited with status 4: last words"
    assert not container.crash_looping
    await container.stop(grace_s=1)
    await in_time(running, 5)
    assert changes


async def test_missing_command_fails_at_once_and_says_so(tmp_path: Path, guard: Guard) -> None:
    container = Container(
        _program(tmp_path, "", argv=("no-such-command", "x")),
        guard=guard,
        clock=SystemClock(),
        on_change=lambda: None,
    )
    running = spawn(container.run(), name="container")
    await eventually_async(lambda: container.crash_looping)
    assert container.problem == "command not found: 'no-such-command'"
    await container.stop(grace_s=1)
    await in_time(running, 5)


async def test_a_log_that_cannot_be_opened_is_a_problem(tmp_path: Path, guard: Guard) -> None:
    program = Program(("true",), {"PATH": os.environ["PATH"]}, tmp_path, tmp_path / "no" / "log")
    container = Container(program, guard=guard, clock=SystemClock(), on_change=lambda: None)
    running = spawn(container.run(), name="container")
    await eventually_async(lambda: container.restarts >= 1)
    assert container.problem == "cannot start 'true': No such file or directory"
    await container.stop(grace_s=1)
    await in_time(running, 5)


@pytest.mark.parametrize(("word", "reason"), [("a\0b", "null byte"), ("\ud83d", "surrogates")])
async def test_what_no_program_can_be_given_is_a_problem(
    tmp_path: Path, guard: Guard, word: str, reason: str
) -> None:
    program = _program(tmp_path, "", argv=("true", word))
    container = Container(program, guard=guard, clock=SystemClock(), on_change=lambda: None)
    running = supervise(container.run, name="container")
    await eventually_async(lambda: container.restarts >= 1)
    assert container.problem.startswith("cannot start 'true': ")
    assert reason in container.problem
    await container.stop(grace_s=1)
    await in_time(running, 5)


async def test_a_program_is_not_started_twice_when_its_listener_fails(
    tmp_path: Path, guard: Guard
) -> None:
    told = 0

    def fail_at_first() -> None:
        nonlocal told
        told += 1
        if told == 1:
            raise RuntimeError("unforeseen")

    program = _program(tmp_path, "echo up; exec sleep 60")
    container = Container(program, guard=guard, clock=SystemClock(), on_change=fail_at_first)
    running = supervise(container.run, name="container")
    await eventually_async(lambda: told >= 2 and _text(program.log))
    assert _text(program.log) == "up\n"
    await container.stop(grace_s=5)
    await in_time(running, 5)
    assert not container.running


async def test_a_long_run_forgives_earlier_exits(
    tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "BACKOFF_FIRST_S", 0.001)
    clock = ManualClock()
    script = "while [ ! -e end ]; do sleep 0.01; done; rm end; exit 1"
    container = Container(
        _program(tmp_path, script), guard=guard, clock=clock, on_change=lambda: None
    )
    running = spawn(container.run(), name="container")

    async def ends_after(seconds: float) -> int:
        before = container.restarts
        await eventually_async(lambda: container.running)
        clock.advance(seconds)
        (tmp_path / "end").touch()
        await eventually_async(lambda: container.restarts > before)
        return container.short_runs

    assert [await ends_after(0) for _ in range(2)] == [1, 2]
    assert await ends_after(containers.STABLE_S - 0.1) == 3
    assert container.crash_looping
    assert await ends_after(containers.STABLE_S + 0.1) == 1
    assert not container.crash_looping
    await container.stop(grace_s=5)
    await in_time(running, 5)


def test_backoff_doubles_up_to_its_limit() -> None:
    assert [containers.backoff_s(n) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert containers.backoff_s(10_000) == containers.BACKOFF_MOST_S


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (1, "", "exited with status 1"),
        (-9, "its last line", "ended by SIGKILL"),
        (-40, "", "ended by signal 40"),
        (2, "no such port", "exited with status 2: no such port"),
    ],
)
def test_exits_are_told_in_one_line(status: int, words: str, expected: str) -> None:
    assert describe_exit(status, last_line=words) == expected


def test_last_words_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"fine\nboo\x1b]0;title\x07\rover \xc2\x9b2J\n\n")
    program = Program(argv=("web",), env={}, cwd=tmp_path, log=log)
    assert last_line(program) == r"boo\x1b]0;title\x07\rover \x9b2J"


def test_a_command_with_a_slash_is_looked_for_beside_the_mesh_file(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    program = _program(tmp_path, "", argv=("./run.sh",))
    assert containers.missing_program(program) == "command not found: './run.sh'"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert containers.missing_program(program) == ""
    assert containers.missing_program(_program(tmp_path, "", argv=(str(script),))) == ""


def test_guard_forgets_groups_that_ended() -> None:
    left = guards.Left(["+1\n", "+2\n", "-1\n", "-9\n"])
    assert (left.groups, left.folders, left.last) == ({2}, {}, [])


def test_guard_removes_no_folder_but_the_one_it_was_told_of(tmp_path: Path) -> None:
    keys, none = tmp_path / "ke\nys", tmp_path / "none"
    (keys / "web-0").mkdir(parents=True)
    (keys / "web-0" / "token").touch()
    left = guards.Left([f"~{json.dumps(str(path))}\n" for path in (keys, none)])
    ((folder, held),) = left.folders.items()
    keys.rename(tmp_path / "moved")
    (keys / "web-1").mkdir(parents=True)
    guards.remove(folder, held=held)
    assert list((tmp_path / "moved").iterdir()) == []
    assert list(keys.iterdir()) == [keys / "web-1"]
    os.close(held)
    held = os.open(keys, os.O_RDONLY)
    guards.remove(folder, held=held)
    assert not keys.exists()
    guards.remove(folder, held=held)
    os.close(held)


async def test_a_guard_that_ends_is_replaced_and_its_successor_knows_what_it_knew(
    tmp_path: Path,
) -> None:
    made = Guard()
    made.stand_by()
    process = start(_program(tmp_path, "sleep 60"), guard=made)
    folder, left = tmp_path / "keys", tmp_path / "left"
    folder.mkdir()
    made.remove_at_end(folder)
    made.call_at_end(["touch", str(left)])
    made._process.kill()
    await eventually_async(lambda: made.restarts == 1 and made._process.poll() is None)
    assert made.last_exit == "ended by SIGKILL"
    await asyncio.to_thread(made.close)
    assert await in_time(process.exited, 10) == -signal.SIGKILL
    assert not folder.exists()
    assert left.exists()


def test_nothing_survives_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path;"
        "from linkerd2_py.controlplane.local.programs.process import Program, start;"
        "from linkerd2_py.controlplane.local.programs.guarding import Guard\n"
        "async def main():\n"
        "    there = Path(sys.argv[1])\n"
        "    script = 'sleep 60 & echo $$ $!; wait'\n"
        "    start(Program(('sh', '-c', script), {'PATH': sys.argv[2]}, there, there / 'log'),"
        " guard=Guard())\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    path = os.environ["PATH"]
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), path]) as supervisor:
        eventually(lambda: len(_text(tmp_path / "log").split()) == 2)
        family = psutil.Process(supervisor.pid).children(recursive=True)
        assert len(family) == 3
        supervisor.kill()
    gone, alive = psutil.wait_procs(family, timeout=5 * patience())
    assert not alive
    assert len(gone) == 3


def test_what_is_to_be_done_at_the_end_is_done_when_the_supervisor_dies(tmp_path: Path) -> None:
    code = (
        "import sys, time; from linkerd2_py.controlplane.local.programs.guarding import Guard\n"
        "from pathlib import Path\n"
        "guard = Guard(); guard.call_at_end(['touch', sys.argv[1]])\n"
        "guard.remove_at_end(Path(sys.argv[1]).with_name('keys'))\n"
        "if len(sys.argv) > 2: guard.call_at_end([]); guard.close(); sys.exit()\n"
        "print('up', flush=True); time.sleep(60)"
    )
    left, withdrawn, keys = (tmp_path / name for name in ("left", "withdrawn", "keys"))
    (keys / "web-0").mkdir(parents=True)
    subprocess.run([sys.executable, "-c", code, str(withdrawn), "orderly"], check=True)
    assert not keys.exists()
    (keys / "web-0").mkdir(parents=True)
    argv = [sys.executable, "-c", code, str(left)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        supervisor.kill()
    eventually(left.exists)
    # Gone before the last command: it may take its time.
    assert not keys.exists()
    assert not withdrawn.exists()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
