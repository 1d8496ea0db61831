"""What a whole proxy writes down of the requests that come in to it, and that no request waits for whoever
reads that.
"""

import asyncio
import fcntl
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.proxy.test_mutual_tls import pair
from tests.support.certified import name_in
from tests.support.grpc_echo import echo_client, echo_server
from tests.support.http1_client import Http1Client
from tests.support.origin import origin, talk
from tests.support.ports import free_address, free_port
from tests.support.series import series
from tests.support.sidecar import environment, sidecar
from tests.support.wait import eventually, eventually_async

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 203 x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
POST = (
    b"POST /a?b=%22 HTTP/1.1\r\nHost: web.test\r\nUser-Agent: curl/8\r\nContent-Length: 3\r\n"
    b"x-request-id: 1\r\nX-B3-TraceId: 80f198ee56343ba8\r\n\r\nabc"
)
UPGRADE = b"GET /s HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
MANY = 6000


class Written:
    """What comes to this process's stderr, line by line."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd, self.text = capfd, ""

    def lines(self) -> list[str]:
        self.text += self.capfd.readouterr().err
        found = (line for line in self.text.splitlines() if '"version":"HTTP/' in line)
        return [line for line in found if line.startswith("{")]

    async def entries(self, count: int = 1) -> list[dict[str, Any]]:
        await eventually_async(lambda: len(self.lines()) >= count, what=f"{count} lines")
        assert len(self.lines()) == count
        return [json.loads(line) for line in self.lines()]


@pytest.fixture
def written(capfd: pytest.CaptureFixture[str]) -> Written:
    return Written(capfd)


def before(address: tuple[str, int]) -> str:
    return f"127.0.0.1:0={address[0]}:{address[1]}"


async def test_a_request_that_comes_in_is_one_object(written: Written) -> None:
    async with (
        origin(lambda *_: OK) as server,
        sidecar(ACCESS_LOG="json", INBOUND_STATIC_PORTS=before(server.address)) as proxy,
    ):
        start = datetime.now(UTC)
        reader, writer = await asyncio.open_connection(*proxy.static(direction="inbound"))
        us = "{}:{}".format(*writer.get_extra_info("sockname"))
        writer.write(POST)
        await reader.readuntil(b"ok")
        (entry,) = await written.entries()
        writer.close()
    spent, total = int(entry.pop("processing_ns")), int(entry.pop("total_ns"))
    assert 0 < spent < total
    at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d{3}Z", r"\1+00:00", entry.pop("timestamp")))
    assert abs(at - start) < timedelta(minutes=1)
    assert entry == {
        "client.addr": us,
        "client.id": "-",
        "host": "web.test",
        "method": "POST",
        "request_bytes": "3",
        "response_bytes": "2",
        "status": 200,
        "trace_id": "80f198ee56343ba8",
        "uri": "/a?b=%22",
        "user_agent": "curl/8",
        "version": "HTTP/1.1",
    }


async def test_apache_is_linkerds_line(capfd: pytest.CaptureFixture[str]) -> None:
    async with (
        echo_server() as server,
        sidecar(ACCESS_LOG="APACHE", INBOUND_STATIC_PORTS=before(server.address)) as proxy,
        echo_client(proxy.static(direction="inbound"), authority="web.test:7000") as client,
    ):
        assert await client.unary(b"x") == b"x"
        text = ""

        def line() -> re.Match[str] | None:
            nonlocal text
            text += capfd.readouterr().err
            return re.search(
                r"^127\.0\.0\.1:\d+ - - \[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z\] "
                r'"POST http://web\.test:7000/l5d\.test\.Echo/Unary HTTP/2\.0" 200$',
                text,
                re.MULTILINE,
            )

        await eventually_async(line, what="a line of the access log")


async def test_who_has_proven_to_be_somebody_is_named(tmp_path: Path, written: Written) -> None:
    async with pair(tmp_path, ACCESS_LOG="json") as both:
        assert (await both.ask()).startswith(b"HTTP/1.1 200")
        (entry,) = await written.entries()
    assert entry["client.id"] == name_in("web")
    # HTTP/1 between proxies is carried in HTTP/2, as Linkerd shows it.
    assert entry["version"] == "HTTP/2.0"
    assert entry["uri"] == "http://voting-svc/"
    assert entry["host"] == "voting-svc"


async def test_every_end_of_a_request_is_a_line(written: Written) -> None:
    def answer(head: bytes, _body: bytes) -> bytes:
        return SWITCHING if head.startswith(b"GET /s") else CHUNKED

    async with (
        origin(answer) as server,
        sidecar(
            ACCESS_LOG="json",
            INBOUND_STATIC_PORTS=f"{before(server.address)},{before(('127.0.0.1', free_port()))}",
        ) as proxy,
    ):
        door, nobody = (proxy.static(number, direction="inbound") for number in (0, 1))
        assert b"203" in await talk(door, POST, until=b"0\r\n\r\n")
        assert b"101" in await talk(door, UPGRADE, until=b"\r\n\r\n")
        assert b"502" in await talk(nobody, POST, until=b"502")
        await written.entries(3)
        # One that the client gives up before it is answered.
        silent = await asyncio.start_server(lambda *_: asyncio.Event().wait(), "127.0.0.1", 0)
        async with silent:
            address = silent.sockets[0].getsockname()
            async with sidecar(ACCESS_LOG="json", INBOUND_STATIC_PORTS=before(address)) as patient:
                _, writer = await asyncio.open_connection(*patient.static(direction="inbound"))
                writer.write(POST)
                await eventually_async(
                    lambda: "tcp_open_connections" in told(patient) and waiting(patient) == 1
                )
                writer.transport.abort()
                entries = await written.entries(4)
    chunked, switched, refused, given_up = entries
    assert chunked["status"] == 203 and "response_bytes" not in chunked
    assert switched["status"] == 101 and switched["uri"] == "/s"
    assert refused["status"] == 502 and refused["trace_id"] == "80f198ee56343ba8"
    assert "status" not in given_up and given_up["method"] == "POST"


def told(proxy: Any) -> str:
    return b"".join(proxy.proxy.parts.registry.render()).decode()


def waiting(proxy: Any) -> float:
    """Requests that were sent to the workload."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in told(proxy).splitlines()
        if line.startswith("request_total{")
    )


async def test_what_goes_out_is_not_written_and_nothing_is_where_nobody_asks(
    written: Written,
) -> None:
    async with origin(lambda *_: OK) as server:
        static = before(server.address)
        async with sidecar(ACCESS_LOG="json", OUTBOUND_STATIC_PORTS=static) as proxy:
            assert b"200" in await talk(proxy.static(), POST, until=b"ok")
        async with sidecar(INBOUND_STATIC_PORTS=static) as proxy:
            assert proxy.proxy.parts.access_log is None
            assert b"200" in await talk(proxy.static(direction="inbound"), POST, until=b"ok")
    assert written.lines() == []


async def test_a_reader_that_is_stuck_stops_no_request(tmp_path: Path) -> None:
    admin, door = free_address(), free_address()
    async with origin(lambda *_: OK) as server:
        variables = environment(
            ACCESS_LOG="json",
            LOG="warn",
            ADMIN_LISTEN_ADDR="{}:{}".format(*admin),
            INBOUND_STATIC_PORTS="{}:{}={}:{}".format(*door, *server.address),
        )
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        process = subprocess.Popen(  # noqa: ASYNC220  # it is started once, before anything is served
            [sys.executable, "-m", "linkerd2_py.proxy"],
            env={**os.environ, **variables},
            stdout=subprocess.DEVNULL,
            stderr=writing,
        )
        try:
            # What the process has is ours as well: nobody else's writes wait or fail because of it.
            assert os.get_blocking(writing)
            await asyncio.to_thread(_flood, door, admin)
            assert os.get_blocking(writing)
            lost = await asyncio.to_thread(_lost, admin)
            assert 0 < lost < MANY
            os.close(writing)
            text = await asyncio.to_thread(_drain, reading, process)
        finally:
            process.kill()
            process.wait()
            os.close(reading)
    lines = text.decode().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(found) == MANY - lost
    assert [line for line in lines if f"{lost} lines of the access log were lost" in line]
    assert len(lines) - len(found) == 1


def _ready(admin: tuple[str, int]) -> bool:
    try:
        with Http1Client.connect(admin) as client:
            return client.request(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").status == 200
    except OSError:
        return False


def _flood(door: tuple[str, int], admin: tuple[str, int]) -> None:
    """Many requests, each of which is answered."""
    eventually(lambda: _ready(admin), what="a proxy that serves")
    with Http1Client.connect(door) as client:
        for _ in range(MANY):
            assert client.request(POST).status == 200


def _lost(admin: tuple[str, int]) -> int:
    with Http1Client.connect(admin) as client:
        text = client.request(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").body.decode()
    found = series(text, "access_log_lines_lost_total")
    return int(sum(found.values()))


def _drain(reading: int, process: subprocess.Popen[bytes]) -> bytes:
    """All that was written, up to the word about what was not."""
    text = b""
    os.set_blocking(reading, False)

    def is_told() -> bool:
        nonlocal text
        assert process.poll() is None
        with suppress(BlockingIOError):
            text += os.read(reading, 1 << 16)
        return b"lines of the access log were lost" in text

    eventually(is_told, what="the word about lost lines")
    return text
