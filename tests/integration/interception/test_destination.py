"""Where an intercepted connection was going is where its bytes go, whatever the requests on it say; and never
round in circles.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.support.netlab import Host, reset
from tests.support.pods import Pod, Pods, at, serve_http, who
from tests.support.wait import within


async def say(client: Host, address: str, port: int, wire: bytes) -> bytes:
    """What comes back until the other side ends or resets; b"RST" where it reset without a word."""
    answer = b""
    async with client.connected(address, port) as (reader, writer), within(10):
        try:
            writer.write(wire)
            while piece := await reader.read(65536):
                answer += piece
        except ConnectionResetError:
            answer = answer or b"RST"
    return answer


def request(line: str, authority: str, *fields: str) -> bytes:
    return "\r\n".join((line, f"Host: {authority}", "Connection: close", *fields, "", "")).encode()


def three(mesh: Pods) -> tuple[Pod, Pod, Pod]:
    """A client's pod and two servers' that the control plane knows."""
    web, one, other = mesh.pod("web"), mesh.pod("one"), mesh.pod("other")
    for pod in (one, other):
        serve_http(pod.host)
        mesh.know(pod, 8080)
        mesh.know(pod, 8081)
    return web, one, other


async def test_what_a_request_says_moves_it_nowhere(mesh: Pods) -> None:
    web, one, other = three(mesh)
    there, elsewhere = at(one.v4, 8080), at(other.v4, 8080)
    mesh.serve(("10.99.0.1", 80), (other.v4, 8080), name="other")
    canonical = "l5d-dst-canonical: other.ns.svc.cluster.local:80"
    for words in (
        ("-H", f"Host: {elsewhere}"),
        ("-H", "Host: other.ns.svc.cluster.local"),
        ("-H", canonical),
        ("-H", f"l5d-dst-canonical: {elsewhere}", "-H", f"l5d-dst-override: {elsewhere}"),
    ):
        name, *_ = await who(web.host, f"http://{there}/who", *words)
        assert name == "one", words
    absolute = request(f"GET http://{elsewhere}/whole HTTP/1.1", elsewhere)
    answer = await say(web.host, one.v4, 8080, absolute)
    # The line arrives as it was sent: a server that serves several names may want it so.
    assert answer.endswith(f"GET http://{elsewhere}/whole HTTP/1.1".encode())
    name, *_ = await who(
        web.host,
        f"http://{at(one.v4, 8081)}/who",
        "--http2-prior-knowledge",
        "-H",
        f"Host: {elsewhere}",
    )
    assert name == "one"
    assert other.count("tcp_open_total", peer="src") == 0


async def test_what_a_request_says_moves_it_nowhere_inbound_either(mesh: Pods) -> None:
    """From a client without a proxy, straight to the pod."""
    stranger = mesh.lab.host("stranger")
    _web, one, other = three(mesh)
    for authority in (at(other.v4, 8080), at(one.v4, 9999), "127.0.0.1:4191"):
        name, _, seen = await who(
            stranger, f"http://{at(one.v4, 8080)}/who", "-H", f"Host: {authority}"
        )
        assert (name, seen) == ("one", authority)
    name, *_ = await who(
        stranger,
        f"http://{at(one.v4, 8080)}/who",
        *("--http2-prior-knowledge", "-H", f"Host: {at(other.v4, 8080)}"),
        *("-H", f"l5d-dst-canonical: {at(other.v4, 8080)}", "-H", "l5d-orig-proto: HTTP/1.1"),
    )
    assert name == "one"
    assert one.count("request_total", direction="inbound", target_addr=at(one.v4, 8080)) == 4
    assert other.count("tcp_open_total", peer="src") == 0


CONNECT_PROXY = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def test_connect_is_for_whoever_was_connected_to(mesh: Pods) -> None:
    """A program that uses a forward proxy somewhere in the mesh reaches that proxy, which decides; ours opens
    nothing.
    """
    web, one, other = three(mesh)
    mesh.know(one, 3128)
    got: list[bytes] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(CONNECT_PROXY)
        writer.write(b"tunnelled " + await reader.readexactly(5))
        writer.close()
        await writer.wait_closed()

    async with one.host.serving(3128, forward):
        target = at(other.v4, 8080)
        async with web.host.connected(one.v4, 3128) as (reader, writer), within(10):
            writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            writer.write(b"bytes")
            assert await reader.read(-1) == b"tunnelled bytes"
    assert got[0].startswith(f"CONNECT {target} HTTP/1.1\r\n".encode())
    assert other.count("tcp_open_total", peer="src") == 0


# Circles


@pytest.mark.parametrize("family", ["v4", "v6"])
async def test_an_inbound_listener_is_no_destination(mesh: Pods, family: str) -> None:
    """Asked for by the address it was reached at; the outbound listener's port, where nobody listens on that
    address, is refused by the kernel.
    """
    stranger, pod = mesh.lab.host("stranger"), mesh.pod("pod")
    own = getattr(pod, family)
    for authority in (at(own, 4143), at(own, 4140)):
        answer = await say(stranger, own, 4143, request("GET / HTTP/1.1", authority))
        status = b"HTTP/1.1 403 " if authority.endswith("4143") else b"HTTP/1.1 502 "
        assert answer.startswith(status), answer
    # Two connections came, and none was made.
    assert pod.count("tcp_open_total", direction="inbound", peer="dst") == 0
    assert pod.count("tcp_open_total", direction="inbound", peer="src") == 2


async def test_a_redirected_connection_to_the_inbound_port_is_refused(mesh: Pods) -> None:
    """To the second address of a pod: it is redirected to the first one, and its destination is still the
    proxy itself.
    """
    second = "10.77.0.77"
    stranger = mesh.lab.host("stranger")
    pod = mesh.pod("pod", INBOUND_IPS="")
    pod.host.run("ip", "addr", "add", f"{second}/24", "dev", "eth0")
    answer = await say(stranger, second, 4143, request("GET / HTTP/1.1", "anything"))
    assert answer.startswith(b"HTTP/1.1 403 "), answer
    assert await say(stranger, second, 4143, b"\0no HTTP") == b"RST"
    assert pod.count("tcp_open_total", direction="inbound", peer="dst") == 0
    assert pod.count("response_total", direction="inbound", error="loop") == 1


async def test_an_inbound_destination_that_is_not_the_pods_is_refused(mesh: Pods) -> None:
    stranger = mesh.lab.host("stranger")
    pod = mesh.pod("pod", INBOUND_IPS="10.77.0.200")
    answer = await say(stranger, pod.v4, 8080, request("GET / HTTP/1.1", "anything"))
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert await say(stranger, pod.v4, 8080, b"\0no HTTP") == b"RST"


async def test_an_outbound_listener_is_no_destination(mesh: Pods) -> None:
    """The workload calls it directly, as a proxy that is told where to go, and tells it to go to itself."""
    pod = mesh.pod("pod")
    for listener in ("127.0.0.1", "::1"):
        for authority in ("127.0.0.1:4140", "[::1]:4140"):
            answer = await say(pod.host, listener, 4140, request("GET / HTTP/1.1", authority))
            assert answer.startswith(b"HTTP/1.1 502 "), answer
    assert pod.count("tcp_open_total", direction="outbound", peer="dst") == 0
    assert pod.count("response_total", direction="outbound", error="loop") == 4


# The ends of connections keep their meaning


async def test_a_refused_connection_is_a_reset_or_a_502(mesh: Pods) -> None:
    web, files = mesh.pod("web"), mesh.pod("files")
    mesh.know(files, 8080)
    mesh.know(files, 9000, opaque=True)
    outside = mesh.lab.host("outside")
    for pod_or_host in (files, outside):
        answer = await say(web.host, pod_or_host.v4, 8080, request("GET / HTTP/1.1", "x"))
        assert answer.startswith(b"HTTP/1.1 502 "), answer
        assert await say(web.host, pod_or_host.v4, 9000, b"\0no HTTP") == b"RST"


@pytest.mark.parametrize("opaque", [True, False])
async def test_half_closes_and_resets_pass_both_proxies(mesh: Pods, opaque: bool) -> None:
    web, files = mesh.pod("web"), mesh.pod("files")
    mesh.know(files, 7000, opaque=opaque)
    ends: asyncio.Queue[bytes | str] = asyncio.Queue()
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            got = await reader.read(2)
            if got == b"\0c":
                arrived.set()
            got += await reader.read(-1)
            ends.put_nowait(got)
            writer.write(b"answer to " + got)
            await writer.drain()
            if got.endswith(b"reset"):
                reset(writer)
        except ConnectionResetError:
            ends.put_nowait("RST")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with files.host.serving(7000, serve):
        # The client's FIN arrives as one, while the answer still comes; then the server's.
        async with web.host.connected(files.v4, 7000) as (reader, writer), within(10):
            writer.write(b"\0half")
            writer.write_eof()
            assert await reader.read(-1) == b"answer to \0half"
            assert await ends.get() == b"\0half"
        # A reset by the server.
        async with web.host.connected(files.v4, 7000) as (reader, writer), within(10):
            writer.write(b"\0reset")
            writer.write_eof()
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)
            assert await ends.get() == b"\0reset"
        # A reset by the client, in the middle of what it says.
        async with web.host.connected(files.v4, 7000) as (_reader, writer), within(10):
            writer.write(b"\0cut")
            await arrived.wait()
            reset(writer)
            assert await ends.get() == "RST"
