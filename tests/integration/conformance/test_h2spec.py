"""h2spec, which breaks every rule of RFC 9113 and RFC 7541 once and looks at the answer, against each side of
the proxy.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from linkerd2_py._ext.http2.testing import FixedServer
from tests.support.conformance import needs_conformance, output_of
from tests.support.engine import Engine, engine
from tests.support.ways import mesh
from tests.support.workloads import identity_of, name_of

pytestmark = needs_conformance()


@contextlib.asynccontextmanager
async def through_tls(address: tuple[str, int], folder: Path) -> AsyncIterator[tuple[str, int]]:
    """A port whose bytes go to a meshed one as those of a workload with a certificate: h2spec has none."""
    certificate, key = mesh().workload("web").files(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=mesh().anchors.decode())
    tls.load_cert_chain(certificate, key)
    tasks: set[asyncio.Task[None] | None] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        inner, outer = await asyncio.open_connection(
            *address, ssl=tls, server_hostname=name_of("voting")
        )
        await asyncio.gather(carry(reader, outer), carry(inner, writer))
        for side in (writer, outer):
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await side.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*filter(None, tasks))


async def judge(address: tuple[str, int]) -> None:
    host, port = address
    _, printed = await output_of(
        "h2spec", "--host", host, "--port", str(port), "--timeout", "5", deadline_s=240
    )
    found = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", printed)
    assert found, printed
    failures = printed.partition("Failures:")[2]
    assert (found[2], failures) == (found[1], ""), printed
    assert int(found[1]) >= 145


@contextlib.contextmanager
def origin(made: Engine) -> Iterator[tuple[str, int]]:
    server = FixedServer(made.loop, "127.0.0.1", 0)
    try:
        yield (server.address.host, server.address.port)
    finally:
        server.close()


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
async def test_plain(direction: str) -> None:
    async with engine() as made:
        with origin(made) as server:
            address = made.inbound(server) if direction == "inbound" else made.outbound(server)[1]
            await judge(address)


async def test_over_mutual_tls(tmp_path: Path) -> None:
    async with engine() as made:
        with origin(made) as server:
            address = made.inbound(server, identity=identity_of(mesh(), "voting"))
            async with through_tls(address, tmp_path) as bridge:
                await judge(bridge)
