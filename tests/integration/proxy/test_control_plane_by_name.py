"""A control plane that is not on loopback, behind a proxy of its own, proves who it is before it is believed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from linkerd2_py.controlplane.run.health import health_problem
from tests.support.certified import DOMAIN, Certified, certified, name_in
from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.dns_server import A, DnsServer, Rows
from tests.support.origin import origin
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import eventually_async

HOST = "control.linkerd.test"
WEB = "web.ns.svc.cluster.local"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextmanager
def resolvable(folder: Path, *, address: str = "127.0.0.1") -> Iterator[Path]:
    """A resolv.conf by which HOST is found."""
    with DnsServer({(HOST, A): Rows((address,), ttl=60)}) as dns:
        conf = folder / "resolv.conf"
        conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
        yield conf


@dataclass
class Rig:
    mesh: Certified
    stub: DestinationStub
    plane: InProcess
    variables: dict[str, str]


@asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[Rig]:
    """`plane` is the proxy beside the control plane. `variables` lead to it by a name, which DNS knows."""
    with resolvable(folder) as conf:
        async with certified(folder) as mesh, DestinationStub() as stub:
            behind = [f"{mesh.address[0]}:{mesh.address[1]}", stub.address]
            async with sidecar(
                INBOUND_STATIC_PORTS=",".join(f"127.0.0.1:0={one}" for one in behind),
                INBOUND_IPS="127.0.0.1",
                **mesh.with_key("plane"),
            ) as plane:
                identity, destination = (
                    plane.static(number, direction="inbound")[1] for number in range(2)
                )
                variables = {
                    **mesh.with_key("web"),
                    "RESOLV_CONF": str(conf),
                    "IDENTITY_SVC_ADDR": f"{HOST}:{identity}",
                    "IDENTITY_SVC_NAME": name_in("plane"),
                    "DESTINATION_SVC_ADDR": f"{HOST}:{destination}",
                    "DESTINATION_SVC_NAME": name_in("plane"),
                }
                yield Rig(mesh, stub, plane, variables)


async def is_ready(proxy: InProcess) -> bool:
    return (await proxy.ask_admin("GET", "/ready")).startswith(b"HTTP/1.1 200")


async def test_its_name_is_proven_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "linkerd2_py")
    async with rig(tmp_path) as made, origin(lambda _head, _body: OK) as server:
        made.stub.endpoints[f"{WEB}:80"] = add(server.address)
        async with sidecar(**made.variables) as web:
            await eventually_async(lambda: is_ready(web))
            assert (await web.get(f"http://{WEB}/")).startswith(b"HTTP/1.1 200")
        series = (await made.plane.ask_admin("GET", "/metrics")).decode()
    for what in ("identity", "destination"):
        assert f"{what} at {HOST}:" in caplog.text
    assert f"has proven to be {name_in('plane')}" in caplog.text
    # Certified by somebody who had no certificate yet, then asked by somebody who has one.
    counted = [line for line in series.splitlines() if line.startswith("request_total{")]
    assert sorted('client_id=""' in line for line in counted) == [False, True]
    assert any(f'client_id="{name_in("web")}"' in line for line in counted)


@pytest.mark.parametrize("instead", ["another name", "no TLS"])
async def test_who_proves_another_name_or_none_is_not_asked(
    instead: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig(tmp_path) as made:
        variables = {**made.variables, "OUTBOUND_STATIC_PORTS": f"127.0.0.1:0={WEB}:80"}
        if instead == "no TLS":
            variables["DESTINATION_SVC_ADDR"] = f"{HOST}:{made.stub.port}"
        else:
            variables["DESTINATION_SVC_NAME"] = name_in("somebody")
        async with sidecar(**variables) as web:
            await eventually_async(lambda: is_ready(web))
            await eventually_async(lambda: "TLS to 127.0.0.1:" in caplog.text)
        assert not made.stub.gets


async def test_one_that_ends_tls_itself_certifies_and_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first call is that of somebody who has no certificate yet."""
    caplog.set_level("INFO", "linkerd2_py")
    async with certified(tmp_path, secured=True) as mesh:
        with resolvable(tmp_path, address=mesh.address[0]) as conf:
            at = f"{HOST}:{mesh.address[1]}"
            variables = {
                **mesh.with_key("web"),
                "RESOLV_CONF": str(conf),
                **{f"{one}_SVC_ADDR": at for one in ("IDENTITY", "DESTINATION")},
                **{f"{one}_SVC_NAME": DOMAIN.control_plane for one in ("IDENTITY", "DESTINATION")},
            }
            async with sidecar(**variables) as web:
                await eventually_async(lambda: is_ready(web))
                # Asked, and refused: there is no such service.
                assert (await web.get(f"http://{WEB}/")).startswith(b"HTTP/1.1 50")
            plane = mesh.plane
            assert plane is not None
            # Programs of this machine ask in plain text, elsewhere; that port is for proxies alone.
            assert await health_problem(plane.local_api) == ""
            assert await health_problem(plane.proxy_api) != ""
    # The other has given no answer yet that says more than that there is none.
    assert f"identity at {HOST}:" in caplog.text
    assert f"has proven to be {DOMAIN.control_plane}" in caplog.text
