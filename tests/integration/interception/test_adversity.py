"""Interception while things break: proxies die, endpoints come and go, packets are lost."""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest

from linkerd2_py.base.tasks import spawn
from tests.support.destination_messages import add, remove
from tests.support.netlab import Host, Streams
from tests.support.netns import write_setting
from tests.support.pods import Pod, Pods, at, serve_http, who
from tests.support.wait import eventually_async, within

SERVICE = ("10.99.0.10", 80)
REFUSED = "7"  # curl's exit status


async def _status(client: Host, url: str) -> str:
    """curl's exit status."""
    return (await client.call("sh", "-c", f"curl -sS -m 5 {url} >/dev/null 2>&1; echo $?")).strip()


@pytest.mark.parametrize("side", ["client", "server"])
async def test_without_its_proxy_a_pod_is_cut_off_until_it_is_back(mesh: Pods, side: str) -> None:
    """Nothing goes past a proxy that died: not out of the client's pod, and not into the server's."""
    web, files = mesh.pod("web"), mesh.pod("files")
    stranger = mesh.lab.host("stranger")
    serve_http(files.host)
    dead, client = (web, web.host) if side == "client" else (files, stranger)
    url = f"http://{files.v4}:8080/who"
    assert (await who(client, url))[0] == "files"
    dead.proxy.send(signal.SIGKILL)
    dead.proxy.wait()
    for family in ("v4", "v6"):
        address = at(getattr(files, family), 8080)
        assert await _status(client, f"http://{address}/who") == REFUSED
    dead.start_proxy()
    assert (await who(client, url))[0] == "files"


async def test_endpoints_change_under_load_and_no_request_fails(mesh: Pods) -> None:
    web = mesh.pod("web")
    servers = [mesh.pod(name) for name in ("one", "other", "third")]
    for pod in servers:
        serve_http(pod.host)
    addresses = [(pod.v4, 8080) for pod in servers]
    mesh.serve(SERVICE, *addresses[:2], name="files")
    path = "files.ns.svc.cluster.local:80"
    load = spawn(
        web.host.call("hey", "-n", "2000", "-c", "8", "-q", "100", f"http://{SERVICE[0]}/who"),
        name="hey",
    )
    changes = 0
    await eventually_async(lambda: mesh.stub.open_gets(path))
    while not load.done():
        gone, come = addresses[changes % 3], addresses[(changes + 2) % 3]
        mesh.stub.send(path, add(come, h2=True))
        mesh.stub.send(path, remove(gone))
        changes += 1
        await asyncio.wait([load], timeout=0.05)
    answer = await load
    assert re.findall(r"\[(\d+)\]\s+(\d+) responses", answer) == [("200", "2000")], answer
    assert "Error distribution" not in answer
    assert changes > 10
    served = [pod.count("request_total", direction="inbound") for pod in servers]
    assert sum(served) == 2000
    assert min(served) > 0


async def test_ports_run_out(mesh: Pods) -> None:
    """The proxy's connection takes a port beside the program's: one that finds none is refused, and disturbs
    nobody.
    """
    web, outside = mesh.pod("web"), mesh.lab.host("outside")
    # Three: the kernel takes an even number from a range.
    write_setting(web.host.netns, "ipv4/ip_local_port_range", "40000 40003")
    write_setting(web.host.netns, "ipv4/ip_local_reserved_ports", "40003")
    there = (outside.v4, 7000)
    async with (
        within(10),
        outside.serving(7000, _echo),
        web.host.connected(*there) as (reader, writer),
    ):
        writer.write(b"\0one")
        assert await reader.readexactly(4) == b"\0one"
        async with web.host.connected(*there) as (refused, asking):
            asking.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await refused.read(-1)).startswith(b"HTTP/1.1 502 ")
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"
    assert web.count("response_total", direction="outbound", status_code="502") == 1


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def _lose(*hosts: Host) -> None:
    """One packet in a hundred never arrives."""
    # Counted out, not drawn: a run is like the one before, and a handshake is not among the lost.
    rule = "INPUT -i eth0 -m statistic --mode nth --every 100 --packet 99 -j DROP"
    for host in hosts:
        host.run("iptables", "-A", *rule.split())


def _lost(host: Host) -> int:
    """How many so far."""
    rules = host.run("iptables", "-vnxL", "INPUT").stdout
    return sum(int(line.split()[0]) for line in rules.splitlines() if "DROP" in line)


async def test_every_byte_arrives_though_packets_are_lost(mesh: Pods) -> None:
    web, files = mesh.pod("web"), mesh.pod("files")
    mesh.know(files, 7000, opaque=True)
    # Small segments: many packets for few bytes.
    for pod in (web, files):
        pod.host.run("ip", "link", "set", "eth0", "gso_max_size", "3000")
    _lose(web.host, files.host)
    sent = os.urandom(1 << 21)
    async with (
        files.host.serving(7000, _echo),
        web.host.connected(files.v4, 7000) as (reader, writer),
        within(30),
    ):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent
    assert _lost(web.host) + _lost(files.host) > 0


async def test_every_request_is_answered_though_packets_are_lost(mesh: Pods) -> None:
    web, files = mesh.pod("web"), mesh.pod("files")
    serve_http(files.host)
    mesh.know(files, 8080)
    _lose(web.host, files.host)
    url = f"http://{files.v4}:8080/who"
    answer = await web.host.call("hey", "-n", "400", "-c", "4", url)
    assert re.findall(r"\[(\d+)\]\s+(\d+) responses", answer) == [("200", "400")], answer
    assert _lost(web.host) + _lost(files.host) > 0


async def test_many_destinations(mesh: Pods) -> None:
    """Each is a target of its own; unused ones go, and a connection that outlives its target works on."""
    web = mesh.pod("web", OUTBOUND_DISCOVERY_IDLE_TIMEOUT="200ms")
    outside = mesh.lab.host("outside")
    outside.run("ip", "route", "add", "local", "198.18.0.0/16", "dev", "lo")
    mesh.lab.router.run("ip", "route", "add", "198.18.0.0/16", "via", outside.v4)
    serve_http(outside)
    urls = "http://198.18.[1-2].[1-250]:8080/who"
    async with web.host.connected("198.18.0.1", 8080) as kept, within(30):
        await _ask(kept)
        for _ in range(2):
            out = await web.host.call("curl", "-sS", "-w", "\n", urls)
            hosts = {line.split()[2] for line in out.splitlines()}
            assert hosts == {f"198.18.{net}.{n}:8080" for net in (1, 2) for n in range(1, 251)}
            await _forgotten(web)
            await _ask(kept)


async def _ask(connection: Streams) -> None:
    reader, writer = connection
    writer.write(b"GET /who HTTP/1.1\r\nHost: kept\r\n\r\n")
    assert (await reader.readuntil(b" kept ")).startswith(b"HTTP/1.1 200 OK")


async def _forgotten(pod: Pod) -> None:
    """Until its proxy holds no connection to a server any more: the pools of forgotten targets are closed."""
    labels = {"direction": "outbound", "peer": "dst"}
    await eventually_async(lambda: not pod.count("tcp_open_connections", **labels))
