"""No request that can be read in two ways reaches a server, and none leaves anything behind for
the next one.
"""

import pytest

from tests.integration.adversity.hostile_requests import CORPUS, Hostile
from tests.integration.adversity.recording_origin import Recording, recording_origin
from tests.integration.adversity.rig import behind, converse, statuses
from tests.support.engine import engine

REFUSALS = {400, 408, 411, 413, 414, 417, 431, 501, 505}
PROBE = b"GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("proxies", [1, 2])
@pytest.mark.parametrize("name", CORPUS)
async def test_a_hostile_request(name: str, proxies: int) -> None:
    case = CORPUS[name]
    async with engine() as made, recording_origin() as server:
        address = behind(made, server.address, proxies=proxies)
        for _ in range(2):
            before = len(server.requests)
            answers, _was_reset = await converse(address, case.wire)
            judge(case, server, answers, len(server.requests) - before)
            probe, _ = await converse(address, PROBE)
            assert probe.endswith(b"\r\n\r\nGET /probe")
            assert server.requests[-1].target == b"/probe"


def judge(case: Hostile, server: Recording, answers: bytes, arrived: int) -> None:
    """What arrived is well-formed and as many as may; the client was answered as many times, then refused or
    left.
    """
    assert not server.wrong
    assert arrived == case.arrives, (arrived, answers)
    found = statuses(answers)
    accepted = [status for status in found if status == 200]
    refused = [status for status in found if status != 200]
    assert len(accepted) == case.arrives, answers
    assert found == accepted + refused
    assert len(refused) <= 1
    assert set(refused) <= REFUSALS, answers
    for request in server.requests:
        names = [key for key, _ in request.fields]
        assert b"upgrade" not in names or b"websocket" in request.all(b"upgrade")
        assert b"l5d-orig-proto" not in names
        assert not (b"content-length" in names and b"transfer-encoding" in names)
        assert len(request.all(b"host")) == (
            1 if request.version == b"1.1" else len(request.all(b"host"))
        )
