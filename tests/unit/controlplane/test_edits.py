"""The eye on a file that people edit."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.tasks import cancel_all, spawn, supervise
from linkerd2_py.controlplane import edits
from tests.support.wait import eventually_async, in_time


async def test_every_edit_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "POLL_S", 0.005)
    path = tmp_path / "mesh.yaml"
    path.write_text("one")
    seen: asyncio.Queue[int] = asyncio.Queue()
    count = iter(range(100))

    async def on_edit() -> None:
        seen.put_nowait(next(count))

    watching = spawn(
        edits.follow_file(path, since=edits.stamp(path), on_edit=on_edit), name="edits"
    )
    path.write_text("longer")
    assert await in_time(seen.get(), 5) == 0
    path.unlink()
    assert await in_time(seen.get(), 5) == 1
    await cancel_all([watching])
    assert seen.empty()


async def test_an_edit_that_could_not_be_followed_is_followed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "POLL_S", 0.005)
    path = tmp_path / "mesh.yaml"
    path.write_text("one")
    tries: list[str] = []

    async def on_edit() -> None:
        tries.append(path.read_text())
        if len(tries) <= 2:
            raise RuntimeError("unforeseen")

    work = partial(edits.follow_file, path, since=edits.stamp(path), on_edit=on_edit)
    watching = supervise(work, name="edits", pauses=BackoffRange(0.0, 0.0, 0.0))
    path.write_text("longer")
    await eventually_async(lambda: len(tries) == 3)
    await cancel_all([watching])
    assert tries == ["longer"] * 3
