"""Pods of a lab: hosts whose TCP traffic passes a proxy that runs as a user of its own; the test plays the
control plane.

async with pods(tmp_path) as mesh:
    web, files = mesh.pod("web"), mesh.pod("files")
    mesh.know(files, 8080)                     # as the control plane would: one of the mesh's own pods
    await web.host.call("curl", f"http://{files.v4}:8080/")
    assert files.count("request_total", direction="inbound") == 1
"""

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from linkerd2_py.proto.gen import destination_pb2 as destination
from tests.support.destination_messages import weighted
from tests.support.destination_stub import DestinationStub
from tests.support.http1_client import Http1Client
from tests.support.netlab import PROXY_UID, Host, NetLab, net_lab, redirect
from tests.support.nginx import prepare
from tests.support.processes import Child
from tests.support.sidecar import environment

ADMIN = ("127.0.0.1", 4191)
DETECT_MS = 300
_SETTINGS = {
    "OUTBOUND_LISTEN_ADDR": "",
    "OUTBOUND_LISTEN_ADDRS": "127.0.0.1:4140,[::1]:4140",
    "INBOUND_LISTEN_ADDR": "[::]:4143",
    "ADMIN_LISTEN_ADDR": "127.0.0.1:4191",
    "DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8,fd00::/8",
    "OUTBOUND_DETECT_TIMEOUT": f"{DETECT_MS}ms",
    "INBOUND_DETECT_TIMEOUT": f"{DETECT_MS}ms",
    "SHUTDOWN_GRACE_PERIOD": "1s",
}

_EVERYWHERE = "listen 8080; listen [::]:8080; listen 8081 http2; listen [::]:8081 http2;"
_WHO = """
location = /who {{ return 200 '{name} $remote_addr $http_host $http_l5d_dst_canonical'; }}
location = /whole {{ return 200 '$request'; }}
"""


@dataclass(eq=False)
class Pod:
    """A host with its proxy."""

    host: Host
    settings: dict[str, str]
    proxies: list[Child] = field(default_factory=list)

    @property
    def v4(self) -> str:
        return self.host.v4

    @property
    def v6(self) -> str:
        return self.host.v6

    @property
    def proxy(self) -> Child:
        """The one that runs now, or ran last."""
        return self.proxies[-1]

    def start_proxy(self) -> None:
        """Begin a proxy; it serves when this returns."""
        argv = [sys.executable, "-m", "linkerd2_py.proxy"]
        log = f"proxy-{len(self.proxies)}"
        child = self.host.start(argv, log=log, uid=PROXY_UID, env=environment(**self.settings))
        self.proxies.append(child)
        child.wait_for_line(r"listening .*admin=")

    def ask_admin(self, path: str) -> str:
        """The body that the proxy's admin server answers with."""
        with self.host.entered(), Http1Client.connect(ADMIN) as client:
            return client.request(
                f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
            ).body.decode()

    def series(self, name: str, **labels: str) -> dict[str, float]:
        """The series of a metric that have these labels, by what is between their braces."""
        found = {}
        for line in self.ask_admin("/metrics").splitlines():
            match = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
            if match and all(f'{label}="{value}"' in match[1] for label, value in labels.items()):
                found[match[1]] = float(match[2])
        return found

    def count(self, name: str, **labels: str) -> float:
        """Their sum."""
        return sum(self.series(name, **labels).values())


class Pods:
    """A lab, its control plane, and what that knows."""

    def __init__(self, lab: NetLab, stub: DestinationStub) -> None:
        self.lab = lab
        self.stub = stub

    def pod(self, name: str, *flags: str, **settings: str) -> Pod:
        """One more, with its proxy: `flags` for proxy-init, `settings` for the proxy."""
        host = self.lab.host(name)
        redirect(host, *flags)
        own = {"INBOUND_IPS": f"{host.v4},{host.v6}", "DESTINATION_SVC_ADDR": self.stub.address}
        made = Pod(host, {**_SETTINGS, **own, **settings})
        made.start_proxy()
        return made

    def know(self, pod: Pod, port: int, *, opaque: bool = False, h2: bool = True) -> None:
        """The control plane knows that port of the pod by its addresses, as meshed."""
        for address in (pod.v4, pod.v6):
            self.stub.profiles[at(address, port)] = destination.DestinationProfile(
                opaque_protocol=opaque, endpoint=weighted(address, port, h2=h2 and not opaque)
            )

    def serve(
        self, service: tuple[str, int], *backends: tuple[str, int], name: str, opaque: bool = False
    ) -> None:
        """A service with an address of its own, served by pods at these."""
        host, port = service
        path = f"{name}.ns.svc.cluster.local"
        self.stub.profiles[at(host, port)] = destination.DestinationProfile(
            fully_qualified_name=path, opaque_protocol=opaque
        )
        addrs = [weighted(*one, h2=not opaque) for one in backends]
        self.stub.endpoints[f"{path}:{port}"] = destination.Update(
            add=destination.WeightedAddrSet(addrs=addrs)
        )


def at(host: str, port: int) -> str:
    """`host:port` as the destination API and URLs write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@asynccontextmanager
async def pods(folder: Path) -> AsyncIterator[Pods]:
    """A lab with a control plane at its router."""
    with net_lab(folder) as lab:
        router = lab.router
        async with DestinationStub(host=router.v4, place=router.entered) as stub:
            yield Pods(lab, stub)


def serve_http(host: Host) -> None:
    """nginx on ports 8080 and, in HTTP/2, 8081 of all addresses; `/who` names the host and who asked."""
    folder = host.folder / host.name
    folder.mkdir()
    argv = prepare(folder, listens=_EVERYWHERE, locations=_WHO.format(name=host.name))
    host.listening(host.start(argv, log="nginx"), 8080)


async def who(client: Host, url: str, *words: str) -> tuple[str, str, str]:
    """Who answered, who it was asked by, and for which Host."""
    name, peer, authority = (await client.call("curl", "-sS", url, *words)).split()
    return name, peer, authority
