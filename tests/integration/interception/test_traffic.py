"""Real programs, unaware of any proxy, through two proxies that were put in their way."""

from __future__ import annotations

import json
import re
import sys

import pytest

from tests.support.pods import Pod, Pods, at, serve_http, who


def two(mesh: Pods) -> tuple[Pod, Pod]:
    """A client's pod, and a server's that the control plane knows."""
    web, files = mesh.pod("web"), mesh.pod("files")
    serve_http(files.host)
    mesh.know(files, 8080)
    mesh.know(files, 8081)
    return web, files


@pytest.mark.parametrize("family", ["v4", "v6"])
async def test_a_request_is_counted_at_both_proxies(mesh: Pods, family: str) -> None:
    web, files = two(mesh)
    address = at(getattr(files, family), 8080)
    name, peer, authority = await who(web.host, f"http://{address}/who")
    # The server is connected to by its own proxy, at its own address, and sees the Host that was asked for.
    assert (name, peer, authority) == ("files", getattr(files, family), address)
    assert web.count("request_total", direction="outbound", target_addr=address) == 1
    assert files.count("request_total", direction="inbound", target_addr=address) == 1
    # Between proxies it was HTTP/2: one connection whose requests say what they were.
    again = [f"http://{address}/who"] * 3
    await web.host.call("curl", "-sS", *again)
    assert web.count("tcp_open_total", direction="outbound", peer="dst") == 1
    assert files.count("tcp_open_total", direction="inbound", peer="src") == 1
    # Nothing knows an IPv4 address by another name.
    for pod in (web, files):
        assert "::ffff:" not in pod.ask_admin("/metrics")
        assert "::ffff:" not in pod.proxy.output()


async def test_a_server_of_http2_and_a_client_of_http2(mesh: Pods) -> None:
    web, files = two(mesh)
    url = f"http://{at(files.v4, 8081)}/who"
    name, *_ = await who(web.host, url, "--http2-prior-knowledge")
    assert name == "files"
    assert files.count("response_total", direction="inbound", status_code="200") == 1


GRPC_SERVER = """
import asyncio
from tests.support.grpc_echo import echo_server
async def main():
    async with echo_server(host="[::]", port=50051):
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
GRPC_CLIENT = """
import asyncio, json, sys
from tests.support.grpc_echo import echo_client
import grpc
async def main():
    async with echo_client((sys.argv[1], 50051)) as client:
        found = [(await client.unary(b"one")).decode()]
        found += [line.decode() async for line in client.server_stream(b"two\\nthree")]
        try:
            await client.unary(b"", metadata=[("x-status", "ABORTED"), ("x-message", "no")])
        except grpc.aio.AioRpcError as error:
            found.append(error.code().name)
        print(json.dumps(found))
asyncio.run(main())
"""


async def test_grpc(mesh: Pods) -> None:
    web, emoji = mesh.pod("web"), mesh.pod("emoji")
    mesh.know(emoji, 50051)
    server = emoji.host.start([sys.executable, "-c", GRPC_SERVER], log="grpc")
    server.wait_for_line("ready")
    for address in (emoji.v4, f"[{emoji.v6}]"):
        out = await web.host.call(sys.executable, "-c", GRPC_CLIENT, address)
        assert json.loads(out) == ["one", "two", "three", "ABORTED"]
    # 10 is ABORTED.
    assert web.count("response_total", direction="outbound", grpc_status="10") == 2
    assert emoji.count("response_total", direction="inbound", grpc_status="0") == 4


async def test_redis(mesh: Pods) -> None:
    """A protocol whose client speaks first and that is no HTTP."""
    web, cache = mesh.pod("web"), mesh.pod("cache")
    mesh.know(cache, 6379)
    argv = [
        "redis-server",
        "--port",
        "6379",
        "--protected-mode",
        "no",
        "--save",
        "",
        "--bind",
        "*",
        "-::*",
    ]
    cache.host.listening(cache.host.start(argv, log="redis"), 6379)
    cli = ("redis-cli", "-h", cache.v4)
    assert (await web.host.call(*cli, "set", "key", "x" * 100_000)).strip() == "OK"
    assert len((await web.host.call(*cli, "get", "key")).strip()) == 100_000
    assert (await web.host.call("redis-cli", "-h", cache.v6, "strlen", "key")).strip() == "100000"
    assert web.count("tcp_open_total", direction="outbound", peer="dst") == 3
    assert cache.count("tcp_read_bytes_total", direction="inbound", peer="src") > 100_000


SERVICE = "10.99.0.10"


async def test_a_services_address_is_balanced_over_its_pods(mesh: Pods) -> None:
    web, one, other = mesh.pod("web"), mesh.pod("one"), mesh.pod("other")
    for pod in (one, other):
        serve_http(pod.host)
    mesh.serve((SERVICE, 80), (one.v4, 8080), (other.v4, 8080), name="files")
    urls = [f"http://{SERVICE}/who"] * 100
    out = await web.host.call("curl", "-sS", "-w", "\n", "-H", "Host: files-svc", *urls)
    lines = out.splitlines()
    assert {line.split()[2] for line in lines} == {"files-svc"}
    counts = {name: sum(line.startswith(f"{name} ") for line in lines) for name in ("one", "other")}
    assert sum(counts.values()) == 100
    assert min(counts.values()) > 0
    authority = "files.ns.svc.cluster.local:80"
    assert web.count("request_total", direction="outbound", authority=authority) == 100
    assert one.count("request_total", direction="inbound") == counts["one"]


async def test_a_pods_address_is_that_pod(mesh: Pods) -> None:
    """What a headless service's name stands for."""
    web, one, other = mesh.pod("web"), mesh.pod("one"), mesh.pod("other")
    for pod in (one, other):
        serve_http(pod.host)
        mesh.know(pod, 8080)
    for pod in (one, other, one, other):
        name, *_ = await who(web.host, f"http://{at(pod.v4, 8080)}/who", "-H", "Host: peers")
        assert name == pod.host.name


async def test_a_pod_that_calls_its_own_service(mesh: Pods) -> None:
    """It is served by itself, past its inbound proxy, as a plain server: no header of the mesh arrives."""
    web = mesh.pod("web")
    serve_http(web.host)
    mesh.serve((SERVICE, 80), (web.v4, 8080), name="web")
    name, peer, _host = await who(web.host, f"http://{SERVICE}/who")
    assert (name, peer) == ("web", web.v4)
    (labels,) = web.series("tcp_open_total", direction="outbound", peer="dst")
    assert 'no_tls_reason="loopback"' in labels
    assert web.count("request_total", direction="outbound", no_tls_reason="loopback") == 1
    assert web.count("request_total", direction="inbound") == 0


async def test_a_pod_that_calls_itself_is_left_alone(mesh: Pods) -> None:
    web = mesh.pod("web")
    serve_http(web.host)
    for address in (web.v4, web.v6, "127.0.0.1", "::1"):
        name, peer, _host = await who(web.host, f"http://{at(address, 8080)}/who")
        assert (name, peer) == ("web", address)
    assert web.count("tcp_open_total", peer="src") == 0


async def test_a_pod_is_reached_at_the_address_of_its_link(mesh: Pods) -> None:
    """IPv6 neighbours may know no other; the proxy answers for it, and not for that of another link."""
    stranger, pod = mesh.lab.host("stranger"), mesh.pod("pod")
    serve_http(pod.host)
    listed = json.loads(pod.host.run("ip", "-j", "-6", "addr", "show", "dev", "eth0").stdout)
    known = [one for link in listed for one in link.get("addr_info", ()) if one]
    (address,) = (one["local"] for one in known if one["scope"] == "link")
    name, peer, _host = await who(stranger, f"http://[{address}%25eth0]:8080/who", "-g")
    assert (name, peer) == ("pod", address)
    (labels,) = pod.series("request_total", direction="inbound")
    assert re.search(rf'target_addr="\[{address}%\d+\]:8080"', labels)
