"""promtool reads what a proxy exposes, and finds nothing wrong but for names that are Linkerd's."""

import asyncio
import re
import subprocess

from linkerd2_py.proto.gen import destination_pb2 as destination
from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.origin import origin, talk
from tests.support.prometheus import PROMTOOL, needs_prometheus
from tests.support.sidecar import sidecar

WEB = "web.ns.svc.cluster.local:80"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
# Dashboards ask for these names: milliseconds, as Linkerd counts them.
LINKERDS = re.compile(r"(control_|route_)?response_latency_ms|tcp_connection_duration_ms")
ABBREVIATED = " metric names should not contain abbreviated units"


@needs_prometheus
async def test_an_exposition_with_every_kind_of_traffic() -> None:
    async with origin(lambda _head, _body: OK) as web, DestinationStub() as stub:
        stub.endpoints[WEB] = add(web.address)
        profile = stub.profiles[WEB] = destination.DestinationProfile(
            fully_qualified_name=WEB.removesuffix(":80")
        )
        one = profile.routes.add()
        one.condition.path.regex = "/.*"
        one.metrics_labels["route"] = 'odd "name"\n'
        host, port = web.address
        settings = {
            "DESTINATION_SVC_ADDR": stub.address,
            "INBOUND_STATIC_PORTS": f"127.0.0.1:0={host}:{port}",
            "INBOUND_IPS": host,
        }
        async with sidecar(**settings) as proxy:
            for _ in range(3):
                assert b"ok" in await proxy.get(f"http://{WEB}/a")
            await proxy.get("http://nobody.invalid/")
            head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            assert b"ok" in await talk(proxy.static(direction="inbound"), head)
            text = b"".join(proxy.proxy.parts.registry.render())
    argv = [PROMTOOL or "", "check", "metrics"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    child = await asyncio.create_subprocess_exec(*argv, **pipes)
    complaints = (await child.communicate(text))[0].decode().splitlines()
    others = [
        line
        for line in complaints
        if not (line.endswith(ABBREVIATED) and LINKERDS.fullmatch(line.removesuffix(ABBREVIATED)))
    ]
    assert others == []
