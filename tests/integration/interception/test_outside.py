"""What the mesh does not know goes out unchanged, and what is exempt is not touched at all."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

from linkerd2_py.proto.gen import destination_pb2 as destination
from tests.support.destination_messages import weighted
from tests.support.netlab import PROXY_UID, Streams, reset
from tests.support.netns import sh
from tests.support.pods import Pod, Pods, at, serve_http, who
from tests.support.wait import patience, within

OUTSIDE = ("192.0.2.9", "2001:db8::9")
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"


class Peers:
    """A server that says hello in HTTP, and remembers who called and what was sent."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.addresses.append(writer.get_extra_info("peername")[0].removeprefix("::ffff:"))
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HELLO)
        writer.close()
        await writer.wait_closed()


async def test_http_leaves_as_it_was_written(mesh: Pods) -> None:
    web, outside = mesh.pod("web"), mesh.lab.host("outside", *OUTSIDE)
    peers = Peers()
    lines = [
        b"GET /a%2Fb//c?q=1&q=%00;x HTTP/1.1",
        b"hOsT: example.com:8000",
        b"X-Odd_Name: \xe9\xff latin",
        b"x-empty:",
        b"X-Twice: one",
        b"x-twice: two",
        b"Via: 1.0 fred",
        b"Cookie: a=b; c=d",
    ]
    async with outside.serving(8000, peers.serve):
        for address in OUTSIDE:
            async with web.host.connected(address, 8000) as (reader, writer), within(10):
                writer.write(b"\r\n".join([*lines, b"", b""]))
                await reader.readuntil(b"\r\n\r\nhello")
    for head in peers.heads:
        assert _normal(head) == _normal(b"\r\n".join([*lines, b"", b""]))
    assert peers.addresses == [web.v4, web.v6]
    assert web.count("request_total", direction="outbound") == 2


def _normal(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The request line, and the fields by name in their order."""
    line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    named = [
        (name.lower(), value.strip()) for name, _, value in (one.partition(b":") for one in fields)
    ]
    return line, sorted(named, key=lambda field: field[0])


async def test_tls_passes_by_name_and_by_address(mesh: Pods, tmp_path: Path) -> None:
    web, outside = mesh.pod("web"), mesh.lab.host("outside", *OUTSIDE)
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    names = "DNS:external.test," + ",".join(f"IP:{address}" for address in OUTSIDE)
    words = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    sh(*words, "-nodes", "-subj", "/CN=x", "-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(certificate))  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    curl = ("curl", "-sS", "--cacert", str(certificate))
    async with outside.serving(443, Peers().serve, tls=context):
        for address in OUTSIDE:
            resolve = ("--resolve", f"external.test:443:{address}")
            assert await web.host.call(*curl, *resolve, "https://external.test/") == "hello"
            assert await web.host.call(*curl, f"https://{at(address, 443)}/") == "hello"
    assert web.count("tcp_open_total", direction="outbound", peer="dst") == 4
    assert web.count("request_total") == 0


async def test_the_meshs_networks_hold_strangers_too(mesh: Pods) -> None:
    """The control plane answers with an empty profile: the address is only an address."""
    web, stranger = mesh.pod("web"), mesh.lab.host("stranger")
    serve_http(stranger)
    assert await who(web.host, f"http://{stranger.v4}:8080/who", "-H", "Host: odd") == (
        ("stranger", web.v4, "odd")
    )
    assert [stream.path for stream in mesh.stub.profile_gets] == [f"{stranger.v4}:8080"]


# A control plane that is away


async def _ask(connection: Streams) -> str:
    """Who answers one request on an open connection."""
    reader, writer = connection
    writer.write(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return (await reader.readexactly(length)).decode().split()[0]


async def test_a_slow_control_plane_holds_nobody_up(mesh: Pods) -> None:
    """The original address is used meanwhile, and what the profile says once it comes: on the same
    connection, too.
    """
    web, one, other = mesh.pod("web"), mesh.pod("one"), mesh.pod("other")
    for pod in (one, other):
        serve_http(pod.host)
    mesh.stub.default_profile = None
    async with web.host.connected(one.v4, 8080) as connection, within(10):
        assert await _ask(connection) == "one"
        (stream,) = mesh.stub.profile_gets
        endpoint = weighted(other.v4, 8080, h2=True)
        stream.send(destination.DestinationProfile(endpoint=endpoint))
        while await _ask(connection) != "other":
            pass
    assert other.count("request_total", direction="inbound") == 1


async def test_what_is_said_while_the_answer_is_awaited_is_not_lost(mesh: Pods) -> None:
    """Bytes and end of a client that does not wait; and one that gives up is not connected for."""
    web, outside = mesh.pod("web"), mesh.lab.host("outside")
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(-1))
        writer.write(b"heard")
        writer.close()
        await writer.wait_closed()

    mesh.stub.default_profile = None
    async with outside.serving(7000, listen), within(10):
        async with web.host.connected(outside.v4, 7000) as (_, writer):
            writer.write(b"\0never mind")
            reset(writer)
        async with web.host.connected(outside.v4, 7000) as (reader, writer):
            writer.write(b"\0half")
            writer.write_eof()
            assert await reader.read(-1) == b"heard"
    assert heard == [b"\0half"]
    assert web.count("tcp_open_total", direction="outbound", peer="dst") == 1


async def test_without_a_control_plane_addresses_are_reached(mesh: Pods) -> None:
    web, files = mesh.pod("web"), mesh.pod("files")
    serve_http(files.host)
    mesh.know(files, 8080)
    await mesh.stub.stop()
    for port in (8080, 8081):
        words = ("--http2-prior-knowledge",) if port == 8081 else ()
        assert (await who(web.host, f"http://{files.v4}:{port}/who", *words))[0] == "files"
    await mesh.stub.start()
    # It comes back, and is asked again.
    async with within(10):
        while not any(stream.path == f"{files.v4}:8080" for stream in mesh.stub.profile_gets):
            await who(web.host, f"http://{files.v4}:8080/who")
    assert (await who(web.host, f"http://{files.v4}:8080/who"))[0] == "files"


# What is exempt


async def _direct(mesh: Pods, client: Pod, server: Pod, *, uid: int = 0) -> Peers:
    peers = Peers()
    async with server.host.serving(9000, peers.serve):
        for address in (server.v4, server.v6):
            assert (
                await client.host.call("curl", "-sS", f"http://{at(address, 9000)}/", uid=uid)
                == "hello"
            )
    return peers


async def test_skipped_outbound_ports(mesh: Pods) -> None:
    web, files = mesh.pod("web", "--outbound-ports-to-ignore", "8999-9000"), mesh.pod("files")
    await _direct(mesh, web, files)
    assert web.count("tcp_open_total", peer="src") == 0
    assert files.count("tcp_open_total", direction="inbound", peer="src") == 2


async def test_skipped_inbound_ports(mesh: Pods) -> None:
    web, files = mesh.pod("web"), mesh.pod("files", "--inbound-ports-to-ignore", "9000")
    peers = await _direct(mesh, web, files)
    # Its own proxy would have called from the pod's own address.
    assert peers.addresses == [web.v4, web.v6]
    assert web.count("tcp_open_total", direction="outbound", peer="src") == 2
    assert files.count("tcp_open_total", peer="src") == 0


async def test_skipped_subnets(mesh: Pods) -> None:
    web = mesh.pod("web")
    files = mesh.pod("files", "--subnets-to-ignore", f"{web.v4}/32,{web.v6}/128")
    peers = await _direct(mesh, web, files)
    assert peers.addresses == [web.v4, web.v6]
    assert files.count("tcp_open_total", peer="src") == 0


async def test_the_proxys_user_is_exempt(mesh: Pods) -> None:
    web, files = mesh.pod("web"), mesh.pod("files")
    await _direct(mesh, web, files, uid=PROXY_UID)
    assert web.count("tcp_open_total", peer="src") == 0
    assert files.count("tcp_open_total", direction="inbound", peer="src") == 2


async def test_udp_and_icmp_are_not_touched(mesh: Pods) -> None:
    web, files = mesh.pod("web"), mesh.pod("files")
    for family, address in ((socket.AF_INET, files.v4), (socket.AF_INET6, files.v6)):
        await web.host.call("ping", "-c", "1", "-W", "5", address)
        with files.host.entered():
            server = socket.socket(family, socket.SOCK_DGRAM)
        with web.host.entered():
            client = socket.socket(family, socket.SOCK_DGRAM)
        with server, client:
            for one in (server, client):
                one.settimeout(5 * patience())
            server.bind((address, 5353))
            client.sendto(b"question", (address, 5353))
            asked, peer = server.recvfrom(100)
            assert (asked, peer[0]) == (b"question", web.v4 if family == socket.AF_INET else web.v6)
            server.sendto(b"answer", peer)
            answer, back = client.recvfrom(100)
            assert (answer, back[:2]) == (b"answer", (address, 5353))
    assert web.count("tcp_open_total", peer="src") == 0
    assert files.count("tcp_open_total", peer="src") == 0
