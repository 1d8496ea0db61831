"""A link between two proxies that cuts, resets, slices and delays: requests end, at most once, and others do
not notice.
"""

import asyncio
import itertools

import pytest

from tests.integration.adversity.rig import close, converse
from tests.support.engine import Engine, engine
from tests.support.flaky_link import FlakyLink, Towards, Weather
from tests.support.origin import origin
from tests.support.turns import settle
from tests.support.wait import eventually_async, in_time

BODY = bytes(range(256)) * 4
FAILURES = (b"HTTP/1.1 502 ", b"HTTP/1.1 503 ", b"HTTP/1.1 504 ")
MS = 1_000_000


def echo(head: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nx-path: %s\r\n\r\n"
        % (len(body), head.split()[1])
        + body
    )


def post(path: str, *, chunked: bool = False) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".encode()
    if chunked:
        halves = b"".join(b"%x\r\n%s\r\n" % (len(half), half) for half in (BODY[:500], BODY[500:]))
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + halves + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


def linked(made: Engine, link: FlakyLink, *, h2: bool) -> tuple[str, int]:
    return made.outbound(link.address, h2=h2)[1]


def is_whole(answer: bytes, path: str) -> bool:
    return (
        answer.startswith(b"HTTP/1.1 200 ")
        and b"x-path: " + path.encode() in answer
        and answer.endswith(b"\r\n\r\n" + BODY)
    )


@pytest.mark.parametrize("h2", [False, True])
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("direction", list(Towards))
async def test_cut_anywhere(direction: Towards, *, hard: bool, h2: bool) -> None:
    async with engine(backoff_min_ns=MS, backoff_max_ns=5 * MS) as made, origin(echo) as server:
        with FlakyLink(made.inbound(server.address)) as link:
            address = linked(made, link, h2=h2)
            bystander = made.outbound(made.inbound(server.address), h2=h2)[1]
            reader, writer = await asyncio.open_connection(*bystander)
            for number, point in enumerate([*range(0, 330, 3), *range(330, 1600, 41)]):
                path = f"/{number}"
                link.weather[direction] = (
                    Weather(reset_after=point) if hard else Weather(cut_after=point)
                )
                answer, _was_reset = await converse(address, post(path), half_close=False)
                arrived = [
                    head for head in server.heads if head.startswith(f"POST {path} ".encode())
                ]
                assert len(arrived) <= 1, point
                assert (
                    is_whole(answer, path)
                    or answer.startswith(FAILURES)
                    or not answer.endswith(BODY)
                ), answer[:200]
                assert not is_whole(answer, path) or arrived
                link.weather[direction] = Weather()
                # Whatever still stands was promised its end at that many bytes: it is not used again.
                link.cut()
                # What is asked before the proxy has seen that end may still go that way, and a POST is not
                # repeated.
                settle(made.loop)
                calm, _ = await converse(address, post(f"/calm{number}"), half_close=False)
                assert is_whole(calm, f"/calm{number}"), (point, calm[:200])
                link.cut()
                writer.write(b"GET /by HTTP/1.1\r\nHost: a\r\n\r\n")
                await in_time(reader.readuntil(b"content-length: 0\r\n\r\n"), 10)
            await close(writer)


@pytest.mark.parametrize("h2", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
async def test_one_byte_at_a_time(*, chunked: bool, h2: bool) -> None:
    async with engine() as made, origin(echo) as server:
        with FlakyLink(made.inbound(server.address)) as link:
            for direction in Towards:
                link.weather[direction].slice_bytes = 1
            address = linked(made, link, h2=h2)
            for number in range(3):
                answer, _ = await converse(
                    address, post(f"/{number}", chunked=chunked), half_close=False
                )
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert answer.endswith(BODY)


@pytest.mark.parametrize("h2", [False, True])
async def test_delay_reorders_nothing(*, h2: bool) -> None:
    async with engine() as made, origin(echo) as server:
        with FlakyLink(made.inbound(server.address)) as link:
            for direction in Towards:
                link.weather[direction].delay_s = 0.01
            address = linked(made, link, h2=h2)
            paths = [f"/{number}" for number in range(40)]
            answers = await asyncio.gather(
                *(converse(address, post(path), half_close=False) for path in paths)
            )
            assert all(
                is_whole(answer, path) for (answer, _), path in zip(answers, paths, strict=True)
            )


@pytest.mark.parametrize("h2", [False, True])
async def test_a_reset_under_load_repeats_no_post(*, h2: bool) -> None:
    async with engine(backoff_min_ns=MS, backoff_max_ns=5 * MS) as made, origin(echo) as server:
        with FlakyLink(made.inbound(server.address)) as link:
            address = linked(made, link, h2=h2)
            numbers = itertools.count()
            outcomes: list[tuple[str, bytes]] = []

            async def client() -> None:
                for _ in range(30):
                    path = f"/{next(numbers)}"
                    outcomes.append(
                        (path, (await converse(address, post(path), half_close=False))[0])
                    )

            async def storm() -> None:
                for turn in range(40):
                    (link.cut if turn % 2 else link.reset)()
                    await made_progress(outcomes)

            await asyncio.gather(storm(), *(client() for _ in range(8)))
    heads = [head.split()[1].decode() for head in server.heads]
    assert len(heads) == len(set(heads))
    for path, answer in outcomes:
        assert is_whole(answer, path) or answer.startswith(FAILURES) or not answer.endswith(BODY)
        assert not is_whole(answer, path) or path in heads


async def made_progress(outcomes: list[tuple[str, bytes]]) -> None:
    """Until three more requests have ended, or all have."""
    goal = min(len(outcomes) + 3, 240)
    await eventually_async(lambda: len(outcomes) >= goal)
