"""Who starts tasks and threads, read from the source: a loop that nobody starts again would end
in silence.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import linkerd2_py

ROOT = Path(linkerd2_py.__file__).parent
PARTS = ("base", "proxy", "controlplane", "cli")
SOURCES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
STARTERS = {"create_task", "ensure_future", "run_coroutine_threadsafe", "TaskGroup", "Thread"}
# Where a task or a thread may begin by itself, and why it cannot be missed.
ALLOWED = {
    "base/tasks.py": "this is where tasks are started",
    "proxy/pod/validator.py": "its one task is what the process waits for",
    "controlplane/local/sample/shared.py": "whoever reads the value gets its failure",
    "cli/live.py": "the thread tells its end however it comes",
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, by the last part of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield name_of(node.func), node


def name_of(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""


def loops(source: str) -> set[str]:
    """Names of the coroutine functions that have a loop without an end of its own."""
    return {
        function.name
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.AsyncFunctionDef)
        and any(isinstance(node, ast.While) for node in ast.walk(function))
    }


def spawned(source: str) -> set[str]:
    """Names of the coroutine functions whose calls are given to `spawn`."""
    return {
        name_of(argument.func)
        for name, call in calls(ast.parse(source))
        for argument in call.args[:1]
        if name == "spawn" and isinstance(argument, ast.Call)
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tasks_and_threads_begin_in_one_place(path: Path) -> None:
    begun = {name for name, _ in calls(ast.parse(path.read_text())) if name in STARTERS}
    assert not begun or str(path.relative_to(ROOT)) in ALLOWED


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_limits_of_time_let_a_cancellation_through(path: Path) -> None:
    """`asyncio.wait_for` of Python 3.11 forgets one that comes when what it waits for is over, and whoever
    cancelled waits for good: `asyncio.timeout` does not.
    """
    assert "wait_for" not in {name for name, _ in calls(ast.parse(path.read_text()))}


def test_no_exception_is_kept_longer_than_it_is_needed() -> None:
    for name in ALLOWED:
        assert {called for called, _ in calls(ast.parse((ROOT / name).read_text()))} & STARTERS, (
            name
        )


def test_what_loops_is_supervised() -> None:
    """By name: a loop that shares its name with something that ends is found here, too, and then wants
    another one.
    """
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in SOURCES}
    looping = {name for text in texts.values() for name in loops(text)}
    assert {"follow", "follow_name", "_repeat", "_converge", "follow_file"} <= looping
    found = {(where, name) for where, text in texts.items() for name in spawned(text) & looping}
    assert found <= SPAWNED_LOOPS


SPAWNED_LOOPS = {
    # What supervises.
    ("base/tasks.py", "_keep_running"),
    # Until the fleet is settled, or the start has taken too long.
    ("controlplane/local/supervise/supervisor.py", "wait_settled"),
    # Until every change has been told; the next change begins it again.
    ("controlplane/streams/watches.py", "_work_off"),
    # For as long as a client's connection.
    ("controlplane/local/names/server.py", "_serve"),
    # For as long as the one connection that a command makes to a pod.
    ("cli/forward.py", "_send"),
    # For as long as one watch of live traffic, whose end is its own.
    ("cli/top/plain.py", "_listen"),
    ("controlplane/web/tap.py", "_until_gone"),
}


def test_a_loop_that_is_only_spawned_is_found() -> None:
    source = "async def watch():\n    while True: pass\nspawn(self.watch(), name='x')"
    assert loops(source) & spawned(source) == {"watch"}
