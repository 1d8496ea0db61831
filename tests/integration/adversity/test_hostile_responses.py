"""A broken response becomes a 502 or a visibly broken one, never a clean wrong one, and never the answer to
somebody else.
"""

import h11
import pytest

from tests.integration.adversity.hostile_responses import CORPUS, Ends, Seen
from tests.integration.adversity.rig import behind, converse
from tests.integration.adversity.scripted_origin import scripted_origin
from tests.support.engine import engine

PROBED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nprobed"


def read(method: bytes, answer: bytes, *, was_reset: bool) -> tuple[int, bytes, bool]:
    """Status, body and completeness of an answer as h11 understands it; (0, b"", False) when there is no
    head.
    """
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.send(
        h11.Request(method=method, target="/", headers=[("host", "a"), ("connection", "close")])
    )
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    if not was_reset:
        client.receive_data(b"")
    status, body = 0, b""
    try:
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return status, body, False
    except h11.RemoteProtocolError:
        return status, body, False
    return status, body, not client.trailing_data[0]


@pytest.mark.parametrize("proxies", [1, 2])
@pytest.mark.parametrize("name", CORPUS)
async def test_a_hostile_response(name: str, proxies: int) -> None:
    case = CORPUS[name]

    def play(head: bytes) -> tuple[bytes, Ends]:
        return (PROBED, Ends.STAYS) if b"/probe" in head else (case.wire, case.ends)

    async with engine() as made, scripted_origin(play) as server:
        address = behind(made, server.address, proxies=proxies)
        for _ in range(2):
            request = case.method + b" /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            answer, was_reset = await converse(address, request, half_close=False)
            status, body, whole = read(case.method, answer, was_reset=was_reset)
            if case.seen is Seen.REFUSED:
                assert (status, whole) == (502, True), answer
            elif case.seen is Seen.CUT:
                assert status == 502 or not whole, answer
            else:
                assert whole, answer
                assert body == case.body
                assert b"l5d-" not in answer
            probe, _ = await converse(
                address,
                b"GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                half_close=False,
            )
            assert read(b"GET", probe, was_reset=False) == (200, b"probed", True), probe
