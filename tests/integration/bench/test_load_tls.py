"""The load generator over TLS: what it proves, what it demands, and that its checks see through
the records.
"""

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as websocket_serve

from bench.certificates import Certificates, make_certificates
from tests.support.load_program import DEADLINE_S, compile_load, http1, last_line, load, started
from tests.support.load_targets import (
    Handler,
    Http2Answer,
    Http2Server,
    echo,
    http1_response,
    pattern,
    read_request,
    reset,
    serve,
)
from tests.support.wait import in_time

GOOD = http1_response(pattern(128))
LAST = http1_response(pattern(128), extra="Connection: close\r\n")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator."""
    return compile_load(tmp_path_factory.mktemp("load"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Those of one run."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The same names below another anchor."""
    return make_certificates(tmp_path_factory.mktemp("strangers"))


def server_side(certificates: Certificates, *, mutual: bool = True) -> ssl.SSLContext:
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(certificates.server.chain, certificates.server.key)
    settings.load_verify_locations(certificates.anchors)
    settings.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    return settings


def words(certificates: Certificates, **others: object) -> list[object]:
    """Its options; `others` replace some or, where None, leave them out."""
    options: dict[str, object] = {
        "sni": certificates.server.name,
        "ca": certificates.anchors,
        "cert": certificates.client.chain,
        "key": certificates.client.key,
    }
    known = (options | others).items()
    return [
        "--tls",
        *(word for name, value in known if value for word in (f"--{name}", value)),
    ]


async def test_each_end_proves_who_it_is(program: Path, certificates: Certificates) -> None:
    asked_for: list[str | None] = []
    seen: list[Any] = []
    settings = server_side(certificates)
    settings.sni_callback = lambda _, name, __: asked_for.append(name)
    ordinary = http1(lambda _: GOOD)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = tls.getpeercert()
        assert certificate is not None
        seen.append((tls.version(), certificate["subjectAltName"]))
        await ordinary(reader, writer)

    async with serve(handle, tls=settings) as address:
        report = await load(program, "http1", address, *words(certificates), "--connections", 3)
    assert (report["exchanges"], report["errors"], report["bytes"]) == (20, 0, 20 * 128)
    assert report["resumed"] == 0
    assert set(asked_for) == {certificates.server.name}
    assert seen == [("TLSv1.3", (("DNS", certificates.client.name),))] * 3


async def test_without_a_certificate_it_stays_anonymous(
    program: Path, certificates: Certificates
) -> None:
    async with serve(http1(lambda _: GOOD), tls=server_side(certificates, mutual=False)) as address:
        report = await load(
            program, "http1", address, *words(certificates, cert=None, key=None), "--seconds", 0.2
        )
    assert report["exchanges"] > 0
    assert report["errors"] == 0


async def test_without_tls_no_handshake_is_reported(program: Path) -> None:
    async with serve(http1(lambda _: GOOD)) as address:
        report = await load(program, "http1", address)
    assert "handshakes" not in report


# What goes through


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 300_000])
async def test_bodies_of_any_number_of_records(
    program: Path, certificates: Certificates, size: int
) -> None:
    requests: list[bytes] = []
    answers = http1(lambda _: http1_response(pattern(size)), requests)
    options = [*words(certificates), "--bytes", size, "--request-bytes", size]
    async with serve(answers, tls=server_side(certificates)) as address:
        report = await load(program, "http1", address, *options)
    assert (report["exchanges"], report["errors"], report["bytes"]) == (20, 0, 20 * size)
    assert all(request.endswith(b"\r\n\r\n" + pattern(size)) for request in requests)


async def test_http2_is_agreed_on_by_alpn(program: Path, certificates: Certificates) -> None:
    agreed: list[str | None] = []
    server = Http2Server(lambda _: Http2Answer(pattern(128)), together=5)
    settings = server_side(certificates)
    settings.set_alpn_protocols(["http/1.1", "h2"])

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agreed.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await server.handle(reader, writer)

    async with serve(handle, tls=settings) as address:
        report = await load(program, "http2", address, *words(certificates), "--streams", 5)
    assert (report["exchanges"], report["errors"]) == (20, 0)
    assert agreed == ["h2"]


@pytest.mark.parametrize("size", [1, 2_000_000])
async def test_an_echo(program: Path, certificates: Certificates, size: int) -> None:
    options = [*words(certificates), "--request-bytes", size]
    async with serve(echo, tls=server_side(certificates)) as address:
        report = await load(program, "tcp", address, *options)
    assert (report["exchanges"], report["errors"]) == (20, 0)


async def test_a_websocket(program: Path, certificates: Certificates) -> None:
    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.ping()
            await connection.send(message)

    async with websocket_serve(
        handle, "127.0.0.1", 0, compression=None, ssl=server_side(certificates)
    ) as server:
        address = "{}:{}".format(*next(iter(server.sockets)).getsockname())
        report = await load(program, "websocket", address, *words(certificates))
    assert (report["exchanges"], report["errors"]) == (20, 0)


async def test_held_connections(program: Path, certificates: Certificates) -> None:
    async with serve(http1(lambda _: GOOD), tls=server_side(certificates)) as address:
        options = ["--protocol", "http1", "--target", address, "--connections", 50, "--hold"]
        async with started(program, *options, *words(certificates)) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            line = await in_time(process.stdout.readline(), DEADLINE_S)
            assert json.loads(line) == {"held": 50}
            process.stdin.close()
            report = await last_line(process)
    assert (report["held"], report["exchanges"], report["handshakes"]) == (50, 50, 50)


# A handshake for each exchange


def closing_after_one(seen: list[bool | None]) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("ssl_object").session_reused)
        await read_request(reader)
        writer.write(LAST)

    return handle


@pytest.mark.parametrize("protocol", ["http1", "tcp-connect"])
async def test_each_connection_shakes_hands_in_full(
    program: Path, certificates: Certificates, protocol: str
) -> None:
    seen: list[bool | None] = []

    async def handle_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("ssl_object").session_reused)
        writer.write(await reader.readexactly(1))
        assert await reader.read() == b""

    handle = closing_after_one(seen) if protocol == "http1" else handle_byte
    close = ["--close"] if protocol == "http1" else []
    async with serve(handle, tls=server_side(certificates)) as address:
        report = await load(
            program, protocol, address, *words(certificates), *close, "--connections", 2
        )
    assert (report["exchanges"], report["errors"], report["resumed"]) == (20, 0, 0)
    assert 20 <= report["handshakes"] <= 22
    assert set(seen) == {False}


async def test_sessions_are_resumed_when_asked_for(
    program: Path, certificates: Certificates
) -> None:
    seen: list[bool | None] = []
    async with serve(closing_after_one(seen), tls=server_side(certificates)) as address:
        report = await load(program, "http1", address, *words(certificates), "--close", "--resume")
    assert (report["exchanges"], report["errors"]) == (20, 0)
    assert report["resumed"] == report["handshakes"] - 1
    assert seen[:20] == [False] + [True] * 19


async def test_a_server_without_tickets_is_met_in_full(
    program: Path, certificates: Certificates
) -> None:
    settings = server_side(certificates)
    settings.num_tickets = 0
    async with serve(closing_after_one([]), tls=settings) as address:
        report = await load(program, "http1", address, *words(certificates), "--close", "--resume")
    assert (report["exchanges"], report["errors"], report["resumed"]) == (20, 0, 0)


# What goes wrong


async def only_error(program: Path, address: str, *options: object) -> str:
    """The one kind of error of a run without a single exchange."""
    report = await load(program, "http1", address, *options, "--seconds", 0.2)
    assert (report["exchanges"], report["handshakes"]) == (0, 0)
    (kind,) = report["error_kinds"]
    return str(kind)


async def test_another_name_is_refused(program: Path, certificates: Certificates) -> None:
    wrong = words(certificates, sni=certificates.client.name)
    async with serve(http1(lambda _: GOOD), tls=server_side(certificates)) as address:
        assert await only_error(program, address, *wrong) == "tls"


async def test_another_anchor_is_refused(
    program: Path, certificates: Certificates, strangers: Certificates
) -> None:
    wrong = words(certificates, ca=strangers.anchors)
    async with serve(http1(lambda _: GOOD), tls=server_side(certificates)) as address:
        assert await only_error(program, address, *wrong) == "tls"


async def test_tls_1_2_is_refused(program: Path, certificates: Certificates) -> None:
    settings = server_side(certificates)
    settings.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serve(http1(lambda _: GOOD), tls=settings) as address:
        assert await only_error(program, address, *words(certificates)) == "tls"


async def plaintext(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.write_eof()


async def closes(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(65536)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65536)
    reset(writer)


@pytest.mark.parametrize(
    ("handle", "kind"), [(plaintext, "tls"), (closes, "tls"), (resets, "reset")]
)
async def test_a_server_without_tls_is_an_error(
    program: Path, certificates: Certificates, handle: Handler, kind: str
) -> None:
    async with serve(handle) as address:
        assert await only_error(program, address, *words(certificates)) == kind


def by_hand(certificates: Certificates, end: Callable[[bytes], bytes]) -> Handler:
    """A server that seals its answer and then sends what `end` makes of the records, and closes without a
    word.

    A client that it refuses is told why, and may then close.
    """
    settings = server_side(certificates)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = settings.wrap_bio(incoming, outgoing, server_side=True)
        request = b""
        while b"\r\n\r\n" not in request:
            try:
                if tls.version() is None or not request:
                    tls.do_handshake()
                request += tls.read(65536)
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                if not (received := await reader.read(65536)):
                    return
                incoming.write(received)
            except ssl.SSLError:
                writer.write(outgoing.read())
                await reader.read()
                return
        writer.write(outgoing.read())
        tls.write(GOOD)
        writer.write(end(outgoing.read()))

    return handle


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (lambda records: records[:-1], "early_close"),
        (lambda records: records[:-1] + bytes([records[-1] ^ 1]), "tls"),
        (lambda records: records + b"HTTP/1.1 200 OK\r\n\r\n", "tls"),
    ],
    ids=["cut", "altered", "plaintext"],
)
async def test_a_wrong_record_is_an_error(
    program: Path, certificates: Certificates, end: Callable[[bytes], bytes], kind: str
) -> None:
    async with serve(by_hand(certificates, end)) as address:
        report = await load(program, "http1", address, *words(certificates), "--seconds", 0.2)
    assert kind in report["error_kinds"]


async def test_a_refused_client_certificate_is_an_error(
    program: Path, certificates: Certificates
) -> None:
    """In TLS 1.3 the client learns of it after its own handshake has ended."""
    anonymous = words(certificates, cert=None, key=None)
    async with serve(by_hand(certificates, lambda records: records)) as address:
        report = await load(program, "http1", address, *anonymous, "--seconds", 0.2)
    assert (report["exchanges"], list(report["error_kinds"])) == (0, ["tls"])


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (http1_response(pattern(128, wrong_at=127)), "body"),
        (http1_response(pattern(127)), "length"),
        (GOOD + b"x", "leftover"),
        (GOOD[:-1], "early_close"),
    ],
)
async def test_a_wrong_answer_is_seen(
    program: Path, certificates: Certificates, wrong: bytes, kind: str
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(wrong)

    async with serve(handle, tls=server_side(certificates)) as address:
        report = await load(program, "http1", address, *words(certificates), "--seconds", 0.2)
    assert (report["exchanges"], list(report["error_kinds"])) == (0, [kind])


async def test_nobody_listening_is_no_matter_of_tls(
    program: Path, certificates: Certificates
) -> None:
    async with serve(echo) as address:
        pass
    assert await only_error(program, address, *words(certificates)) == "refused"


# The command line


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--sni", "a"], "need --tls"),
        (["--resume"], "need --tls"),
        (["--tls"], "--tls needs --sni and --ca"),
        (["--tls", "--sni", "a"], "--tls needs --sni and --ca"),
        (["--tls", "--sni", "a", "--ca", "/no/such"], "--ca /no/such: "),
        (["--tls", "--sni", "a", "--ca", "CA", "--cert", "x"], "--cert and --key"),
        (["--tls", "--sni", "a", "--ca", "CA", "--key", "x"], "--cert and --key"),
        (["--tls", "--sni", "a", "--ca", "CA", "--cert", "/no", "--key", "KEY"], "--cert /no: "),
        (["--tls", "--sni", "a", "--ca", "CA", "--cert", "CERT", "--key", "CA"], "--key "),
    ],
)
async def test_bad_input_is_named_in_one_line(
    program: Path, certificates: Certificates, options: list[str], complaint: str
) -> None:
    files = {
        "CA": certificates.anchors,
        "CERT": certificates.client.chain,
        "KEY": certificates.client.key,
    }
    known = ["--protocol", "http1", "--target", "127.0.0.1:1"]
    async with started(program, *known, *(files.get(word, word) for word in options)) as process:
        output, said = await in_time(process.communicate(), DEADLINE_S)
    assert (process.returncode, output) == (1, b"")
    assert said.count(b"\n") == 1
    assert complaint in said.decode()
