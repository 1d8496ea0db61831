"""The families of errors, detection, balancers and control clients of a whole proxy, with the labels that say whose
they are.
"""

from pathlib import Path

from linkerd2_py.proto.gen import destination_pb2 as destination
from tests.integration.proxy.test_control_plane_by_name import HOST, rig
from tests.integration.proxy.test_outbound_policy_service import V2
from tests.integration.proxy.test_outbound_policy_service import WEB as POLICED
from tests.integration.proxy.test_outbound_policy_service import rig as routed
from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.origin import origin, talk
from tests.support.policy_stub import PolicyStub, backend, detected, outbound_route, server
from tests.support.series import by, series
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import eventually_async

NAME = "web.shop.svc.cluster.local"
WEB = f"{NAME}:80"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def service(what: str, name: str = "web", port: str = "80") -> set[tuple[str, str]]:
    """The labels of a service in the namespace `shop`."""
    return {
        (f"{what}_group", "core"),
        (f"{what}_kind", "Service"),
        (f"{what}_namespace", "shop"),
        (f"{what}_name", name),
        (f"{what}_port", port),
        (f"{what}_section_name", ""),
    }


def told(proxy: InProcess) -> str:
    return b"".join(proxy.proxy.parts.registry.render()).decode()


async def test_a_service_is_named_by_its_profile_or_else_by_its_name() -> None:
    async with origin(lambda _head, _body: OK) as web, DestinationStub() as stub:
        stub.endpoints[WEB] = stub.endpoints["other.shop.svc.cluster.local:80"] = add(web.address)
        profile = stub.profiles[WEB] = destination.DestinationProfile(fully_qualified_name=NAME)
        one = profile.parent_ref.resource
        one.group, one.kind, one.namespace, one.name, one.port = (
            "core",
            "Service",
            "shop",
            "web",
            80,
        )
        async with sidecar(
            DESTINATION_SVC_ADDR=stub.address, OUTBOUND_STATIC_PORTS=f"127.0.0.1:0={WEB}"
        ) as proxy:
            assert b"ok" in await talk(proxy.static(), GET)
            assert b"ok" in await proxy.get("http://other.shop.svc.cluster.local/")
            text = told(proxy)
    parent = service("parent")
    assert series(text, "outbound_tcp_protocol_connections_total") == {
        frozenset({*parent, ("protocol", "detect")}): 1
    }
    found = series(text, "outbound_tcp_detect_http_results_total")
    assert found[frozenset({*parent, ("result", "http/1")})] == 1
    ready = series(text, "outbound_http_balancer_endpoints")
    for name in ("web", "other"):
        labels = {*service("parent", name), *service("backend", name), ("endpoint_state", "ready")}
        assert ready[frozenset(labels)] == 1


async def test_what_routes_lead_to_is_of_the_parent_that_was_asked_for() -> None:
    canary = outbound_route(backend(V2), name="canary", path="/v2")
    rest = outbound_route(backend(POLICED), name="rest", path="/")
    async with routed(detected(POLICED, canary, rest), target=POLICED) as made:
        for path in ("/v2", "/web"):
            got = await made.ask(GET.replace(b"GET /", b"GET " + path.encode()))
            assert got.startswith(b"HTTP/1.1 200 ")
        text = told(made.proxy)
    parent, v2 = (one.partition(".")[0] for one in (POLICED, V2))
    named = {
        (dict(labels)["parent_name"], dict(labels)["backend_name"])
        for labels, count in series(text, "outbound_http_balancer_p2c_endpoints").items()
        if count
    }
    assert named == {(parent, parent), (parent, v2)}
    spoken = series(text, "outbound_tcp_protocol_connections_total")
    assert {dict(labels)["parent_name"] for labels in spoken} == {parent}


async def test_what_is_no_service_is_told_as_such_and_fails_by_its_reason() -> None:
    async with (
        DestinationStub() as stub,
        sidecar(DESTINATION_SVC_ADDR=stub.address, OUTBOUND_FAILFAST_TIMEOUT="100ms") as proxy,
    ):
        await proxy.get("http://nobody.invalid/")
        text = told(proxy)
    assert by(text, "outbound_http_errors_total", "error") == {"failfast": 1}
    assert by(text, "outbound_http_balancer_queue_requests_total", "parent_name") == {"fallback": 1}


async def test_inbound_series_name_the_server_of_policy() -> None:
    async with origin(lambda _head, _body: OK) as web, PolicyStub() as policy:
        host, port = web.address
        policy.ports[port] = server(name="web-http")
        async with sidecar(
            INBOUND_STATIC_PORTS=f"127.0.0.1:0={host}:{port}",
            INBOUND_IPS=host,
            INBOUND_PORTS=str(port),
            POLICY_SVC_ADDR=policy.address,
            POLICY_WORKLOAD="{}",
        ) as proxy:

            async def is_told() -> bool:
                await talk(proxy.static(direction="inbound"), GET)
                return (
                    by(told(proxy), "inbound_tcp_detect_http_results_total", "srv_name").get(
                        "web-http", 0
                    )
                    > 0
                )

            await eventually_async(is_told)
            found = series(told(proxy), "inbound_tcp_detect_http_results_total")
    labels = {("srv_group", "policy.linkerd.io"), ("srv_kind", "server"), ("srv_name", "web-http")}
    assert found[frozenset({*labels, ("srv_port", str(port)), ("result", "http/1")})] >= 1


async def test_clients_of_the_control_plane_are_told_by_address(tmp_path: Path) -> None:
    async with rig(tmp_path) as made, origin(lambda _head, _body: OK) as web:
        made.stub.endpoints[WEB] = add(web.address)
        async with sidecar(**made.variables) as proxy:
            assert (await proxy.get(f"http://{WEB}/")).startswith(b"HTTP/1.1 200")
            text = told(proxy)
    destination_addr = made.variables["DESTINATION_SVC_ADDR"]
    identity_addr = made.variables["IDENTITY_SVC_ADDR"]
    requests = by(text, "control_request_total", "addr")
    assert set(requests) == {destination_addr, identity_addr}
    names = {name for labels in series(text, "control_request_total") for name, _ in labels}
    assert names == {"addr", "tls", "server_id"}
    assert by(text, "control_response_total", "addr")[identity_addr] >= 1
    connections = {
        dict(labels)["addr"]
        for labels in series(text, "tcp_open_total")
        if ("direction", "control") in labels
    }
    assert connections == {destination_addr, identity_addr}
    for what, addr in (("destination", destination_addr), ("identity", identity_addr)):
        ready = frozenset({("addr", addr), ("endpoint_state", "ready")})
        assert series(text, f"control_{what}_balancer_endpoints")[ready] == 1
    assert HOST in destination_addr
    # What the proxy asks itself is nobody's traffic.
    assert by(text, "outbound_http_errors_total", "error") == {}
