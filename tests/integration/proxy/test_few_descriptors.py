"""Discovery names more endpoints than the proxy may open descriptors."""

import re
from pathlib import Path

from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.origin import origin
from tests.support.sidecar import Sidecar, sidecar_process
from tests.support.wait import eventually_async

HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
DESCRIPTORS = 256
SERVICES, EACH = 4, 120


async def test_every_service_is_reached_and_clients_are_taken(tmp_path: Path) -> None:
    """Connections that nobody waits for leave the half of them. The soft limit is none."""
    async with DestinationStub() as stub, origin(lambda _head, _body: HELLO, host="0.0.0.0") as web:
        port = web.address[1]
        for number in range(SERVICES):
            pods = [(f"127.0.{number + 1}.{pod + 1}", port) for pod in range(EACH)]
            stub.endpoints[f"s{number}.ns.svc.cluster.local:80"] = add(*pods)
        settings = {"DESTINATION_SVC_ADDR": stub.address}
        limits = f"64:{DESCRIPTORS}"
        log = tmp_path / "proxy.log"
        with sidecar_process(log, descriptors=limits, **settings) as (proxy, _):
            for number in [*range(SERVICES)] * 3:
                answer = await proxy.get(f"http://s{number}.ns.svc.cluster.local/")
                assert answer.startswith(b"HTTP/1.1 200 "), answer
            metrics = await eventually_async(lambda: _once_all_are_ready(proxy))
    assert _value("process_max_fds", metrics) == DESCRIPTORS
    # Those of the loop, of listeners and of the control plane beside them.
    assert DESCRIPTORS / 4 < _value("process_open_fds", metrics) < DESCRIPTORS * 3 / 4


async def _once_all_are_ready(proxy: Sidecar) -> str:
    """The metrics that say so; else nothing."""
    metrics = (await proxy.ask_admin("GET", "/metrics")).decode()
    series = r'^outbound_http_balancer_endpoints\{.*endpoint_state="ready".*\} (.*)$'
    ready = re.findall(series, metrics, re.MULTILINE)
    return metrics if [int(count) for count in ready] == [EACH] * SERVICES else ""


def _value(name: str, metrics: str) -> float:
    (found,) = re.findall(rf"^{name} (.*)$", metrics, re.MULTILINE)
    return float(found)
