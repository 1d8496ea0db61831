"""The table of an exchange's states: real exchanges go through all of it, and a debug build ends at any
other.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import product
from typing import Any

import pytest

from linkerd2_py._ext.core import debug
from linkerd2_py._ext.exchange.testing import Posed, heard
from linkerd2_py._ext.route.local_client import LocalClient
from tests.support.engine import Engine, engine

debug_only = pytest.mark.skipif(not debug.enabled(), reason="a release build does not look")

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
LEGAL = {
    ("none", "none", False): "finding",
    ("none", "waiting", False): "waiting",
    ("none", "half", False): "asking",
    ("head", "half", False): "answering",
    ("done", "none", True): "over",
}
PAIRS = list(product(("none", "head", "done"), ("none", "waiting", "half"), (False, True)))


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(("response", "client", "over"), PAIRS)
def test_five_pairs_are_legal_and_no_other(
    response: str, client: str, over: bool, done: bool
) -> None:
    expected = LEGAL.get((response, client, over), "illegal")
    assert Posed(done=done, response=response, client=client, over=over).state == expected


# ---- what a debug build does about others


def told(pose: str, event: str) -> str:
    """The last words of a process in which an exchange in that pose hears that."""
    program = f"from linkerd2_py._ext.exchange.testing import Posed; Posed({pose}).{event}(); print('alive')"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    return ended.stderr or ended.stdout


@debug_only
@pytest.mark.parametrize(
    ("response", "client", "over"), [pair for pair in PAIRS if pair not in LEGAL]
)
def test_an_illegal_state_ends_a_debug_build(response: str, client: str, over: bool) -> None:
    pose = f"done=False, response={response!r}, client={client!r}, over={over}"
    assert "a state that is not in its table" in told(pose, "tell_room")


@debug_only
@pytest.mark.parametrize(
    ("pose", "event", "words"),
    [
        ("response='none', client='half', done=False", "tell_response_body", "without its head"),
        ("response='none', client='waiting', done=True", "tell_response_body", "without its head"),
        ("response='none', client='none', done=False", "tell_request_body", "nobody had begun"),
        ("response='none', client='half', done=True", "tell_request_body", "that was done"),
    ],
)
def test_what_may_not_be_heard_ends_a_debug_build(pose: str, event: str, words: str) -> None:
    assert words in told(pose, event)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("event", ["tell_room", "tell_request_body", "tell_response_body"])
def test_an_exchange_that_is_over_hears_anything_and_does_nothing(done: bool, event: str) -> None:
    pose = f"done={done}, response='done', client='none', over=True"
    assert told(pose, event) == "alive\n"


# ---- what happens to real exchanges


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[tuple[str, int]]:
    """A server that says that as soon as it has a head, and then what it is sent."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while got := await reader.read(65536):
                writer.write(got)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
        for writer in writers:
            writer.close()


async def ask(address: tuple[str, int], *parts: bytes, until: bytes) -> None:
    """Sends the parts, each but the first once something has come back, and reads to `until`."""
    reader, writer = await asyncio.open_connection(*address)
    received = b""
    for number, part in enumerate(parts):
        if number:
            received += await reader.read(65536)
        writer.write(part)
    while until not in received:
        got = await reader.read(65536)
        assert got, received
        received += got
    writer.close()
    await writer.wait_closed()


async def answered(made: Engine) -> None:
    """A response that begins before its request is done, and one that comes after."""
    async with saying(CHUNKED) as server:
        await ask(made.outbound(server)[1], POST, b"2\r\nhi\r\n0\r\n\r\n", until=b"0\r\n\r\n")
    async with saying(CHUNKED + b"0\r\n\r\n") as server:
        await ask(made.outbound(server)[1], GET, until=b"0\r\n\r\n")


async def refused_by_the_router(made: Engine) -> None:
    """Before any target was found, with a body to come and without."""
    address = made.server(made.table())[1]
    await ask(address, b"GET https://a/ HTTP/1.1\r\nhost: a\r\n\r\n", until=b"400")
    await ask(
        address, b"POST https://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n", until=b"400"
    )


def answered_at_once(made: Engine) -> None:
    """The callers go on, or give up, before they are told."""
    table = made.table()
    target = table.install(b"svc.test:80")
    target.reject(403, "no")
    silent: dict[str, Any] = dict.fromkeys(
        ("on_head", "on_body", "on_end", "on_reset"), lambda *_told: None
    )
    LocalClient(table).request(target, body=b"rest", **silent)
    LocalClient(table).request(target, **silent).cancel()


@debug_only
async def test_real_exchanges_go_through_all_of_the_table() -> None:
    async with engine() as made:
        await answered(made)
        await refused_by_the_router(made)
        answered_at_once(made)
    assert heard() == set(product(LEGAL.values(), (False, True)))
