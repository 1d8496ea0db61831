"""As much of a kubelet as an API server asks for when it forwards a port: the programs are elsewhere."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import trustme
from aiohttp import WSMsgType, web

from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.outside import NODE
from tests.support.processes import Child

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = b"\0", b"\1"


class Kubelet:
    """Of the node that all pods are on, while the block lasts. `ports` says where a port of a pod really is;
    any other is refused, as one at which nobody listens.
    """

    def __init__(self, folder: Path, *, ports: Mapping[int, str]) -> None:
        words = [sys.executable, "-m", __spec__.name, str(folder), json.dumps(ports)]
        self._child = Child.start(words, log=folder / "kubelet.log")

    def register(self, kubectl: Kubectl) -> None:
        """Tell the API server where it is."""
        port = int(self._child.wait_for_line(r"kubelet listens on (\d+)", deadline_s=30).group(1))
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        kubectl.apply(node)
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        kubectl.apply_status({**node, "status": status})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()


async def _serve(folder: Path, ports: Mapping[str, str]) -> None:
    async def forward(request: web.Request) -> web.WebSocketResponse:
        return await _forward(request, ports)

    app = web.Application()
    app.router.add_get("/portForward/{namespace}/{pod}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_tls(folder)).start()
    print(f"kubelet listens on {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def _tls(folder: Path) -> ssl.SSLContext:
    certificate = folder / "kubelet.pem"
    made = trustme.CA().issue_cert("127.0.0.1")
    certificate.write_bytes(made.private_key_and_cert_chain_pem.bytes())
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(certificate)
    return found


async def _forward(request: web.Request, ports: Mapping[str, str]) -> web.WebSocketResponse:
    far = web.WebSocketResponse(protocols=(_PROTOCOL,))
    await far.prepare(request)
    port = request.query["port"]
    for channel in (_DATA, _ERROR):
        await far.send_bytes(channel + int(port).to_bytes(2, "little"))
    where = ports.get(port)
    if where is None:
        reason = f"dial tcp4 127.0.0.1:{port}: connect: connection refused"
        await far.send_bytes(_ERROR + f"error forwarding port {port}: {reason}".encode())
    else:
        host, _, real = where.rpartition(":")
        await _carry(far, *await asyncio.open_connection(host, int(real)))
    return far


async def _carry(
    far: web.WebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def back() -> None:
        while data := await reader.read(4096):
            await far.send_bytes(_DATA + data)

    async with asyncio.TaskGroup() as tasks:
        returning = tasks.create_task(back())
        async for message in far:
            if message.type is WSMsgType.BINARY and message.data[:1] == _DATA:
                writer.write(message.data[1:])
        returning.cancel()
        writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), json.loads(sys.argv[2])))
