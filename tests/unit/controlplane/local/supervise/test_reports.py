"""What a supervisor tells, whether or not anybody listens; and the eye on mesh.yaml."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.tasks import cancel_all, spawn, supervise
from linkerd2_py.controlplane import watch
from linkerd2_py.controlplane.local.programs.probe import Probe
from linkerd2_py.controlplane.local.supervise.reports import Report, ReportPipe, read_reports
from tests.support.wait import eventually_async, in_time


def test_reports_arrive_in_order() -> None:
    read, write = os.pipe()
    pipe = ReportPipe(write)
    sent = [Report("step", "√ one"), Report("failed", "a\nb")]
    for report in sent:
        pipe.send(report)
    pipe.close()
    pipe.close()
    pipe.send(Report("ready"))
    with os.fdopen(read, encoding="utf-8") as lines:
        assert list(read_reports(lines)) == sent


def test_a_reader_that_left_or_sleeps_is_not_waited_for() -> None:
    read, write = os.pipe()
    pipe = ReportPipe(write)
    for _ in range(2000):
        pipe.send(Report("step", "x" * 100))
    os.close(read)
    pipe.send(Report("step"))
    pipe.send(Report("step"))


def test_nobody_listens() -> None:
    ReportPipe(None).send(Report("ready"))


def test_lines_that_are_no_reports_are_left_out() -> None:
    assert list(read_reports(["nonsense\n", "{}\n"])) == []


async def test_every_edit_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.005)
    path = tmp_path / "mesh.yaml"
    path.write_text("one")
    edits: asyncio.Queue[int] = asyncio.Queue()
    count = iter(range(100))

    async def on_edit() -> None:
        edits.put_nowait(next(count))

    watching = spawn(watch.watch_file(path, since=watch.stamp(path), on_edit=on_edit), name="watch")
    path.write_text("longer")
    assert await in_time(edits.get(), 5) == 0
    path.unlink()
    assert await in_time(edits.get(), 5) == 1
    await cancel_all([watching])
    assert edits.empty()


async def test_an_edit_that_could_not_be_followed_is_followed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.005)
    path = tmp_path / "mesh.yaml"
    path.write_text("one")
    tries: list[str] = []

    async def on_edit() -> None:
        tries.append(path.read_text())
        if len(tries) <= 2:
            raise RuntimeError("unforeseen")

    work = partial(watch.watch_file, path, since=watch.stamp(path), on_edit=on_edit)
    watching = supervise(work, name="watch", pauses=BackoffRange(0.0, 0.0, 0.0))
    path.write_text("longer")
    await eventually_async(lambda: len(tries) == 3)
    await cancel_all([watching])
    assert tries == ["longer"] * 3


async def test_a_probe_names_an_ipv6_address_as_http_does() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "::1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await Probe("::1", port, path="/ready").answered()
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in heads[0]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 204 \r\n\r\n", ""),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "GET /ready on {where} is answered 503"),
        (b"HTTP/1.1 5\x1b[2J Busy\r\n\r\n", r"GET /ready on {where} is answered 5\x1b[2J"),
        (b"nonsense\n", "GET /ready on {where} is answered in something other than HTTP/1"),
        (b"", "GET /ready on {where} is not answered in HTTP"),
        (b"x" * 10_000, "GET /ready on {where} is not answered in HTTP"),
    ],
)
async def test_http_probe(answer: bytes, expected: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /ready HTTP/1.1\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        probe = Probe("127.0.0.1", port, path="/ready")
        assert await probe.refusal() == expected.format(where=f"127.0.0.1:{port}")
        assert await probe.answered() == (not expected)
        assert await Probe("127.0.0.1", port).answered()
    assert not await Probe("127.0.0.1", port).answered()
    assert await Probe("127.0.0.1", port).refusal() == f"nothing answers on 127.0.0.1:{port}"
