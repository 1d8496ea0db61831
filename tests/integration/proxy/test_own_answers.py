"""One line in the log for what a whole proxy answers itself, however often it does."""

import logging

import pytest

from tests.support.origin import talk
from tests.support.ports import free_port
from tests.support.sidecar import sidecar
from tests.support.wait import eventually_async

GET = b"GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
async def test_a_reason_is_a_line_a_second(
    caplog: pytest.LogCaptureFixture, direction: str
) -> None:
    caplog.set_level(logging.INFO, logger="linkerd2_py")
    endpoint = f"127.0.0.1:{free_port()}"
    variables = {f"{direction.upper()}_STATIC_PORTS": f"127.0.0.1:0={endpoint}"}

    def lines() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if "the proxy answers" in record.getMessage()
        ]

    async with sidecar(**variables) as proxy:
        door = proxy.static(direction=direction)
        for _ in range(10):
            assert b"502" in await talk(door, GET)
        first = lines()[0]
        assert first.startswith(
            f"{direction}: the proxy answers 502 for {endpoint} at {endpoint}: "
        )

        async def is_told_again() -> bool:
            assert b"502" in await talk(door, GET)
            return len(lines()) > 1

        await eventually_async(is_told_again)
    # All ten and those of the second that went by are in two lines.
    assert len(lines()) == 2
    start, _, more = lines()[1].rpartition(" (")
    assert start == first
    assert int(more.split()[0]) >= 9
    assert {record.levelname for record in caplog.records if "answers" in record.getMessage()} == {
        "WARNING"
    }


async def test_what_a_client_is_refused_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="linkerd2_py")
    async with sidecar() as proxy:
        wire = b"GET https://web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n"
        assert b"400" in await talk(proxy.outbound, wire, until=b"400")
    (record,) = (one for one in caplog.records if "the proxy answers" in one.getMessage())
    assert record.levelname == "INFO"
    assert record.getMessage().endswith("400: https is spoken through CONNECT only")
