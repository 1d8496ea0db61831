"""Routes that are applied with kubectl, and a whole proxy that does what they say: our controller's process in
front of a real API server is all that is between them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client_hello import client_context, hello_of
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import Controller
from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.outside import own_address
from tests.support.origin import talk
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import eventually_async

pytestmark = pytest.mark.timeout(300)

LIMIT_S: Final = 60.0
GATEWAY: Final = "gateway.networking.k8s.io"
POLICY: Final = "policy.linkerd.io"
WEB, SECURE, BYTES, OUT = range(4)
"""The ports of the proxy: of web's port of HTTP, of TLS, of opaque bytes, and of an address outside."""
Object = dict[str, Any]


class Server:
    """Says who it is: to requests with what they asked for, to other bytes at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fails = 0
        self.port = 0
        self.open: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self.open[writer] = serving
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                writer.write(self.answer(piece))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.open.pop(writer, None)

    def answer(self, piece: bytes) -> bytes:
        if not piece.startswith(b"GET "):
            return f"bytes of {self.name}.".encode()
        if self.fails:
            self.fails -= 1
            return b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n"
        line, *fields = piece.decode().split("\r\n\r\n")[0].split("\r\n")
        host = next(one for one in fields if one.lower().startswith("host:"))
        added = [one for one in fields if one.lower().startswith("x-route:")]
        body = "|".join([self.name, line.split()[1], host.split(": ")[1], *added])
        return f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


@dataclass
class Shop:
    """A namespace with the services web and v2, and a proxy that calls them."""

    namespace: str
    kubectl: Kubectl
    proxy: InProcess
    web: Server
    v2: Server

    def apply(self, *objects: Object) -> None:
        self.kubectl.apply(*objects)

    def delete(self, kind: str, name: str) -> None:
        self.kubectl("delete", f"{kind}.{GATEWAY}", name, f"--namespace={self.namespace}")

    def route(self, kind: str, name: str, *rules: Object, port: int = 80, **spec: Any) -> Object:
        """Of web, where no other parent is said."""
        annotations = spec.pop("annotations", {})
        parent = {"group": "core", "kind": "Service", "name": "web", "port": port}
        version = {"HTTPRoute": "v1", "GRPCRoute": "v1"}.get(kind, "v1alpha2")
        return {
            "apiVersion": f"{GATEWAY}/{version}",
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "annotations": annotations,
            },
            "spec": {"parentRefs": [parent], "rules": list(rules), **spec},
        }

    async def get(self, path: str = "/", *, host: str = "web", port: int = WEB) -> bytes:
        wire = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        return await talk(self.proxy.static(port), wire.encode())

    async def send(self, port: int, wire: bytes) -> bytes:
        """Bytes that are no HTTP; empty: they were refused."""
        return await talk(self.proxy.static(port), wire, until=b".")


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    await eventually_async(found, deadline_s=LIMIT_S)


def to(*named: tuple[str, int], port: int = 80) -> list[Object]:
    return [{"name": name, "port": port, "weight": weight} for name, weight in named]


def service(name: str, namespace: str, server: Server, host: str) -> list[Object]:
    """With all its ports at one server."""
    ports = {"http": 80, "tls": 443, "bytes": 9000}
    about = {"name": name, "namespace": namespace}
    opaque = {"config.linkerd.io/opaque-ports": "9000"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**about, "annotations": opaque},
            "spec": {"ports": [{"name": one, "port": at} for one, at in ports.items()]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**about, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": one, "port": server.port} for one in ports],
            "endpoints": [{"addresses": [host]}],
        },
    ]


@pytest.fixture
async def shop(
    request: pytest.FixtureRequest, control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> AsyncIterator[Shop]:
    install_crds(kubectl)
    name = request.node.name.removeprefix("test_")[:40].replace("_", "-").strip("-")
    kubectl("create", "namespace", name)
    async with _serving("web") as web, _serving("v2") as v2:
        host = own_address()
        kubectl.apply(*service("web", name, web, host), *service("v2", name, v2, host))
        words = ("--kubeconfig", control_plane.kubeconfig, "--cluster-networks=10.96.0.0/12")
        with Controller("destination", *words, folder=tmp_path) as controller:
            await asyncio.to_thread(controller.wait_ready)
            web_name = f"web.{name}.svc.cluster.local"
            targets = [f"{web_name}:{port}" for port in (80, 443, 9000)]
            targets.append(f"{host}:{web.port}")
            async with sidecar(
                OUTBOUND_STATIC_PORTS=",".join(f"127.0.0.1:0={one}" for one in targets),
                DESTINATION_SVC_ADDR=controller.address,
                POLICY_SVC_ADDR=controller.address,
                POLICY_WORKLOAD=f'{{"ns":"{name}","pod":"client"}}',
            ) as proxy:
                yield Shop(name, kubectl, proxy, web, v2)
    kubectl("delete", "namespace", name, "--wait=false")


@asynccontextmanager
async def _serving(name: str) -> AsyncIterator[Server]:
    made = Server(name)
    server = await asyncio.start_server(made.serve, own_address(), 0)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            for writer in list(made.open):
                writer.close()
            await asyncio.gather(*made.open.values())


async def test_filters_do_what_they_say(shop: Shop) -> None:
    async def untouched() -> bool:
        return (await shop.get("/a")).endswith(b"web|/a|web")

    await until(untouched)
    changed = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/changed"}}],
        "filters": [
            {
                "type": "RequestHeaderModifier",
                "requestHeaderModifier": {"set": [{"name": "x-route", "value": "changed"}]},
            },
            {
                "type": "ResponseHeaderModifier",
                "responseHeaderModifier": {"add": [{"name": "x-told", "value": "yes"}]},
            },
        ],
    }
    redirected = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/moved"}}],
        "filters": [
            {
                "type": "RequestRedirect",
                "requestRedirect": {
                    "hostname": "new.example",
                    "statusCode": 301,
                    "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/there"},
                },
            }
        ],
    }
    rewritten = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
        "filters": [
            {
                "type": "URLRewrite",
                "urlRewrite": {
                    "hostname": "inner.example",
                    "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"},
                },
            }
        ],
        "backendRefs": to(("v2", 1)),
    }
    shop.apply(shop.route("HTTPRoute", "filters", changed, redirected, rewritten))

    async def moved() -> bool:
        return (await shop.get("/moved/a")).startswith(b"HTTP/1.1 301 ")

    await until(moved)
    assert b"\r\nlocation: http://new.example/there/a\r\n" in await shop.get("/moved/a")
    got = await shop.get("/changed/a")
    assert b"\r\nx-told: yes\r\n" in got
    assert got.lower().endswith(b"web|/changed/a|web|x-route: changed")
    assert (await shop.get("/old/a?b")).endswith(b"v2|/new/a?b|inner.example")
    assert (await shop.get("/else")).startswith(b"HTTP/1.1 404 ")


async def test_weights_tries_and_times_do_what_they_say(shop: Shop) -> None:
    split = {"backendRefs": to(("web", 3), ("v2", 1))}
    said = {
        "retry.linkerd.io/http": "5xx",
        "retry.linkerd.io/limit": "2",
        "timeout.linkerd.io/request": "20s",
    }
    shop.apply(shop.route("HTTPRoute", "split", split, annotations=said))

    async def both() -> bool:
        return {(await shop.get()).split(b"|")[0][-3:] for _ in range(30)} == {b"web", b"\nv2"}

    await until(both)
    answers = [await shop.get() for _ in range(80)]
    found = Counter(one.rpartition(b"\n")[2].split(b"|")[0] for one in answers)
    assert set(found) == {b"web", b"v2"}
    assert found[b"web"] > found[b"v2"]
    # Whichever it is sent to: the others are left after two that fail.
    shop.web.fails, shop.v2.fails = 1, 1
    assert (await shop.get()).startswith(b"HTTP/1.1 200 ")
    assert shop.web.fails + shop.v2.fails < 2
    shop.delete("httproutes", "split")

    async def web_alone() -> bool:
        return all([(await shop.get()).endswith(b"web|/|web") for _ in range(12)])

    await until(web_alone)


async def test_tls_goes_where_its_name_says(shop: Shop) -> None:
    whole = {"backendRefs": to(("v2", 1), port=443)}
    ending = {"backendRefs": to(("web", 1), port=443)}
    gone = {"backendRefs": to(("nobody", 1), port=443)}
    shop.apply(
        shop.route("TLSRoute", "whole", whole, port=443, hostnames=["one.shop.test"]),
        shop.route("TLSRoute", "ending", ending, port=443, hostnames=["*.shop.test"]),
        shop.route("TLSRoute", "gone", gone, port=443, hostnames=["gone.shop.test"]),
    )

    async def to_v2() -> bool:
        hello = hello_of(client_context(), "one.shop.test")
        return await shop.send(SECURE, hello) == b"bytes of v2."

    await until(to_v2)

    async def asked(name: str) -> bytes:
        return await shop.send(SECURE, hello_of(client_context(), name))

    assert await asked("two.shop.test") == b"bytes of web."
    assert await asked("else.test") == b""

    async def refused() -> bool:
        return await asked("gone.shop.test") == b""

    await until(refused)
    metrics = (await shop.proxy.ask_admin("GET", "/metrics")).decode()
    closed = f'route_namespace="{shop.namespace}",route_name="gone",error="invalid_backend"}} '
    assert "0" not in metrics.partition(closed)[2].split("\n")[0].split()
    shop.delete("tlsroutes", "whole")

    async def to_web() -> bool:
        return await asked("one.shop.test") == b"bytes of web."

    await until(to_web)


async def test_opaque_bytes_are_split(shop: Shop) -> None:
    split = {"backendRefs": to(("web", 1), ("v2", 1), port=9000)}
    shop.apply(shop.route("TCPRoute", "split", split, port=9000))

    async def both() -> bool:
        found = {await shop.send(BYTES, b"\x00 some") for _ in range(12)}
        return found == {b"bytes of web.", b"bytes of v2."}

    await until(both)


async def test_one_host_outside_is_let_go(shop: Shop) -> None:
    async def let_go() -> bool:
        return (await shop.get(host="good.test", port=OUT)).startswith(b"HTTP/1.1 200 ")

    await until(let_go)
    about = {"name": "outside", "namespace": shop.namespace}
    shop.apply(
        {
            "apiVersion": f"{POLICY}/v1alpha1",
            "kind": "EgressNetwork",
            "metadata": about,
            "spec": {"trafficPolicy": "Deny"},
        }
    )

    async def denied() -> bool:
        return (await shop.get(host="good.test", port=OUT)).startswith(b"HTTP/1.1 403 ")

    await until(denied)
    assert await shop.send(OUT, hello_of(client_context(), "good.test")) == b""
    parent = {"group": POLICY, "kind": "EgressNetwork", "name": "outside", "port": shop.web.port}
    there = {"backendRefs": [{**parent, "weight": 1}]}
    route = shop.route("HTTPRoute", "good", there, hostnames=["good.test"])
    route["spec"]["parentRefs"] = [parent]
    shop.apply(route)
    await until(let_go)
    got = await shop.get(host="bad.test", port=OUT)
    assert got.startswith(b"HTTP/1.1 403 ")
    assert b"l5d-proxy-error: traffic not allowed\r\n" in got
    # The same of TLS, in the place of the other.
    shop.delete("httproutes", "good")
    tls = shop.route("TLSRoute", "good", there, hostnames=["good.test"])
    tls["spec"]["parentRefs"] = [parent]
    shop.apply(tls)

    async def by_name() -> bool:
        hello = hello_of(client_context(), "good.test")
        return await shop.send(OUT, hello) == b"bytes of web."

    await until(by_name)
    assert await shop.send(OUT, hello_of(client_context(), "bad.test")) == b""
