"""A server of calls under bytes that come in any pieces, or are not what they should be: it asks the same, or
nothing, and goes on for everybody else.
"""

from collections.abc import Iterator

import pytest
from hpack import Encoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkerd2_py._ext.io.loop import Loop
from tests.support.call_rig import CALL, Calls, message, with_field
from tests.support.http2_script import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    SETTINGS,
    frame,
    reset,
)
from tests.support.route_rig import End, Rig

reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
SAID = [b"", b"hello", b"x" * 300, b"last"]


@pytest.fixture
def calls() -> Iterator[Calls]:
    failures: list[str] = []
    loop = Loop()
    loop.on_error = lambda error, actor: failures.append(repr(error))
    rig = Rig(loop)
    made = Calls(rig, lambda call: (call.send([b"yes"]), call.finish()), request_bytes=1000)
    yield made
    made.close()
    rig.close()
    loop.close()
    assert not failures


def head(encoder: Encoder, fields: object = CALL) -> bytes:
    block: bytes = encoder.encode(fields, huffman=False)
    return block


def story() -> bytes:
    """Four calls, one that is given up, and one that is none."""
    encoder = Encoder()
    begins = [frame(HEADERS, END_HEADERS, 1 + 2 * at, head(encoder)) for at in range(5)]
    bodies = [frame(DATA, END_STREAM, 1 + 2 * at, message(body)) for at, body in enumerate(SAID)]
    wrong = head(encoder, with_field("content-type", "text/plain"))
    first, *rest = bodies
    return b"".join(
        [
            PREFACE,
            frame(SETTINGS),
            *begins[:2],
            first,
            *begins[2:],
            *rest,
            frame(DATA, 0, 9, message(b"never", length=20)),
            reset(9, 8),
            frame(HEADERS, END_HEADERS | END_STREAM, 11, wrong),
        ]
    )


def play(calls: Calls, wire: bytes, cuts: list[int]) -> End:
    client = calls.rig.connect(calls.address)
    for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        if client.end:
            break
        try:
            client.send(wire[start:stop])
        except (BrokenPipeError, ConnectionResetError):
            break
        calls.rig.loop.drain()
        client.take()
    return client


def is_served(calls: Calls) -> bool:
    calls.asked.clear()
    client = calls.client()
    stream = client.ask(b"well")
    calls.until(lambda: stream.end)
    client.link.link.close()
    calls.clients.clear()
    return stream.body == message(b"yes") and stream.status == "0"


@reuse
@given(cuts=st.lists(st.integers(1, len(story()) - 1), max_size=12, unique=True).map(sorted))
def test_a_story_is_the_same_in_any_pieces(calls: Calls, cuts: list[int]) -> None:
    calls.asked.clear()
    client = play(calls, story(), cuts)
    calls.until(lambda: len(calls.asked) == len(SAID) and client.take().count(b"yes") == len(SAID))
    assert sorted(one.request for one in calls.asked) == sorted(SAID)
    client.link.close()
    calls.until(lambda: calls.server.open == 0 and calls.server.connections == 0)


@reuse
@given(data=st.data())
def test_bytes_that_are_wrong_spoil_nothing_else(calls: Calls, data: st.DataObject) -> None:
    wire = bytearray(story())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(len(PREFACE), len(wire) - 1))
        wire[at] = data.draw(st.integers(0, 255))
    client = play(calls, bytes(wire), [])
    assert is_served(calls)
    client.link.close()
    calls.until(lambda: calls.server.open == 0 and calls.server.connections == 0)


@reuse
@given(body=st.binary(max_size=40), more=st.binary(max_size=8))
def test_whatever_a_request_holds_has_one_answer(calls: Calls, body: bytes, more: bytes) -> None:
    calls.asked.clear()
    client = calls.client()
    stream = client.begin()
    client.put(stream, body, end=False)
    client.put(stream, more)
    calls.until(lambda: client.streams[stream].end)
    whole = body + more
    good = len(whole) >= 5 and whole[0] == 0 and int.from_bytes(whole[1:5], "big") == len(whole) - 5
    assert [one.request for one in calls.asked] == ([whole[5:]] if good else [])
    assert client.streams[stream].status in ({"0"} if good else {"8", "12", "13"})
    client.link.link.close()
    calls.clients.clear()
