"""A client that opens no window makes a proxy hold a bounded number of bytes for each that it sent itself."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import hpack
import psutil
import pytest

from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.http2_script import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW,
    PREFACE,
    SETTINGS,
    WINDOW_UPDATE,
    Link,
    frame,
    request,
    scripted,
    settings,
)
from tests.support.sidecar import sidecar_process
from tests.support.wait import eventually_async

CONNECTIONS, STREAMS = 8, 250
RESPONSE = 200_000
# Of each byte that came from the client.
MOST_HELD = 20


@dataclass(slots=True)
class Pouring:
    """A workload that sends each response as far as the windows allow; `poured` counts the bytes of all."""

    poured: int = 0
    answered: int = 0

    async def serve(self, link: Link, _number: int) -> None:
        link.send(settings(streams=1000))
        sender = Sender(link, self)
        async for got in link.frames():
            if got.kind == SETTINGS and not got.flags & ACK:
                sender.first_window = dict(struct.iter_unpack(">HI", got.payload))[INITIAL_WINDOW]
            elif got.kind == WINDOW_UPDATE:
                sender.open(got.stream, int.from_bytes(got.payload, "big"))
            elif got.kind == HEADERS:
                sender.begin(got.stream)
                self.answered += 1


@dataclass(slots=True)
class Sender:
    """The responses of one connection, and the windows that hold them back."""

    link: Link
    whole: Pouring
    first_window: int = 65_535
    connection: int = 65_535
    left: dict[int, int] = field(default_factory=dict)
    windows: dict[int, int] = field(default_factory=dict)

    def begin(self, stream: int) -> None:
        block = self.link.encoder.encode([(":status", "200")])
        self.link.send(frame(HEADERS, END_HEADERS, stream, block))
        self.left[stream], self.windows[stream] = RESPONSE, self.first_window
        self.push(stream)

    def open(self, stream: int, credit: int) -> None:
        if stream:
            self.windows[stream] += credit
            self.push(stream)
            return
        self.connection += credit
        for waiting in list(self.left):
            self.push(waiting)

    def push(self, stream: int) -> None:
        while size := min(self.left[stream], self.windows[stream], self.connection, 16_384):
            self.left[stream] -= size
            self.windows[stream] -= size
            self.connection -= size
            self.whole.poured += size
            last = 0 if self.left[stream] else END_STREAM
            self.link.send(frame(DATA, last, stream, bytes(size)))


def asking(streams: int, window: int) -> bytes:
    """So many requests of 1.2 kB each, by a client whose streams have this window."""
    wire = [PREFACE, settings(window=window)]
    for number in range(streams):
        fields = request(("x-pad", f"{number:04d}" + "~" * 1200), method="GET")
        block = hpack.Encoder().encode(fields, huffman=False)
        wire.append(frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * number, block))
    return b"".join(wire)


@asynccontextmanager
async def reading_nothing_more(address: tuple[str, int], *wires: bytes) -> AsyncIterator[None]:
    """A connection for each of them, which is read and gives no credit."""
    reading = set()
    for wire in wires:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(wire)
        reading.add(spawn(discard(Link(reader, writer, acknowledges=False)), name="discard"))
    try:
        yield
    finally:
        await cancel_all(reading)


async def discard(link: Link) -> None:
    try:
        async for _ in link.frames():
            pass
    finally:
        await link.close()


async def stalled(workload: Pouring, answered: int) -> None:
    """Until nothing moves any more."""
    known, quiet = -1, 0

    def still() -> bool:
        nonlocal known, quiet
        quiet = quiet + 1 if workload.poured == known else 0
        known = workload.poured
        return workload.answered == answered and quiet >= 30

    await eventually_async(still, deadline_s=60)


@pytest.mark.slow
@pytest.mark.parametrize("window", [0, 100, 10_000, 65_535])
async def test_what_an_http2_workload_sends_is_held_in_proportion(
    tmp_path: Path, window: int
) -> None:
    """With 65,535 it is the connection's window that is never opened again."""
    workload = Pouring()
    async with scripted(workload.serve) as server:
        host, port = server.address
        with sidecar_process(
            tmp_path / "log", INBOUND_STATIC_PORTS=f"127.0.0.1:0={host}:{port}"
        ) as (proxy, child):
            address = proxy.static(direction="inbound")
            process = psutil.Process(child.pid)
            async with reading_nothing_more(address, asking(20, window)):
                await stalled(workload, 20)
                warm = process.memory_info().rss
                wire = asking(STREAMS, window)
                async with reading_nothing_more(address, *[wire] * CONNECTIONS):
                    await stalled(workload, 20 + CONNECTIONS * STREAMS)
                    held = process.memory_info().rss - warm
                    assert held <= MOST_HELD * CONNECTIONS * len(wire)
