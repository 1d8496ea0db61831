"""What is made of policies for targets: of Linkerd's own, where its recordings are, and of those that would
widen something.
"""

from collections.abc import Callable

import pytest

from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.discovery.client_policy import (
    client_policy,
)
from linkerd2_py.proxy.discovery.messages import Endpoint
from linkerd2_py.proxy.discovery.ways import Balanced, Direct, Refused
from linkerd2_py.proxy.filters import Injected
from tests.support import policy_stub as stub
from tests.support.policy_stub import RECORDED, recorded_policy

WEB, V2 = "web.shop.svc.cluster.local:80", "v2.shop.svc.cluster.local:80"


def to(name: str, port: int = 80) -> Balanced:
    return Balanced(Authority(f"{name}.shop.svc.cluster.local", port))


OUTSIDE = Direct(Endpoint(SocketAddr("203.0.113.99", 80), weight=1))


@pytest.mark.skipif(
    not RECORDED.is_dir(), reason="no recordings of Linkerd's policy controller here"
)
@pytest.mark.parametrize(
    ("name", "http", "opaque", "ignored"),
    [
        ("web", to("web"), to("web"), []),
        ("authority", to("web"), to("web"), []),
        ("appproto", to("appproto"), None, []),
        ("appproto-http", to("appproto", 82), None, []),
        ("appproto-tcp", None, to("appproto", 81), []),
        ("svc-opaque", None, to("svc-opaque"), []),
        ("default-opaque", None, to("db", 3306), []),
        ("tcpsvc", None, to("v2"), []),
        ("unknown-ip-outside", OUTSIDE, OUTSIDE, []),
        ("v2", to("v2"), to("v2"), []),
        ("breaker", to("breaker"), to("breaker"), []),
        ("crossns", to("web"), to("crossns"), []),
        ("grpcsvc", to("grpcsvc"), None, []),
        ("tlssvc", None, to("v2"), []),
        ("routed", Refused(500, "Service not found missing"), to("routed"), []),
    ],
)  # fmt: skip
def test_policies_of_linkerds_controller(
    name: str, http: object, opaque: object, ignored: list[str]
) -> None:
    found = client_policy(recorded_policy(f"outbound-{name}"))
    assert (found.http, found.opaque) == (http, opaque)
    told = "\n".join(found.ignored)
    assert all(text in told for text in ignored)
    assert bool(ignored) == bool(found.ignored)


def test_several_rules_lead_to_the_service_itself() -> None:
    routes = [
        stub.outbound_route(stub.backend(V2), name="canary", path="/v2"),
        stub.outbound_route(stub.backend(WEB), name="rest"),
    ]
    found = client_policy(stub.detected(WEB, *routes))
    assert found.http == found.opaque == to("web")
    assert found.ignored == ()
    assert found.own == to("web")
    assert found.routes is not None
    named = [found.routes.routes.rules[step.rule].route.name for step in found.routes.routes.steps]
    assert named == ["canary", "rest"]


def test_a_split_leads_to_the_service_itself_even_where_no_backend_is_that() -> None:
    split = stub.outbound_route(stub.backend(V2), stub.backend("v3.shop.svc.cluster.local:81"))
    made = outbound.OutboundPolicy(metadata=stub.service_of(WEB))
    made.protocol.http1.routes.append(split)
    assert client_policy(made).http == to("web")


def test_one_backend_of_several_that_fails_does_not_count() -> None:
    made = stub.detected(WEB, stub.outbound_route(stub.backend(WEB), stub.backend(None)))
    assert client_policy(made).http == to("web")


def test_backends_without_weight_are_none() -> None:
    made = stub.detected(WEB, stub.outbound_route(stub.backend(V2), stub.backend(WEB)))
    for kind in (made.protocol.detect.http1, made.protocol.detect.http2):
        kind.routes[0].rules[0].backends.random_available.backends[1].weight = 0
    assert client_policy(made).http == to("v2")


MISSING = Refused(500, "no such service")


@pytest.mark.parametrize("position", [0, 1])
def test_what_refuses_some_refuses_all_that_nobody_looks_into(position: int) -> None:
    """Nobody could say which requests go through."""
    routes = [stub.outbound_route(stub.backend(WEB), name="rest")]
    refusing = stub.outbound_route(
        stub.backend(V2), name="gone", path="/gone", failure="no such service"
    )
    routes.insert(position, refusing)
    found = client_policy(stub.detected(WEB, *routes))
    assert found.http == MISSING
    assert found.opaque == to("web")


def test_http2_alone_may_be_what_refuses() -> None:
    made = stub.detected(WEB)
    del made.protocol.detect.http2.routes[:]
    made.protocol.detect.http2.routes.append(
        stub.outbound_route(stub.backend(V2), failure="no such service")
    )
    assert client_policy(made).http == MISSING


def test_failures_may_happen_now_and_then() -> None:
    made = stub.detected(WEB)
    for kind in (made.protocol.detect.http1, made.protocol.detect.http2):
        injector = kind.routes[0].rules[0].filters.add().failure_injector
        injector.status, injector.ratio.numerator, injector.ratio.denominator = 503, 1, 10
    found = client_policy(made)
    assert found.http == to("web")
    assert found.routes is not None
    (rule,) = found.routes.routes.rules
    assert rule.filters.injected == Injected(503, "outbound policy forbids it", 1, 10)
    assert found.ignored == ()


@pytest.mark.parametrize(("code", "status"), [(7, 403), (14, 503), (4, 504), (12, 500)])
def test_failures_of_grpc(code: int, status: int) -> None:
    made = outbound.OutboundPolicy(metadata=stub.service_of(WEB))
    route = made.protocol.grpc.routes.add()
    route.metadata.default = "grpc"
    rule = route.rules.add()
    rule.backends.empty.SetInParent()
    rule.filters.add().failure_injector.code = code
    found = client_policy(made).http
    assert isinstance(found, Refused)
    assert found.status == status


def test_what_is_forbidden() -> None:
    found = client_policy(
        stub.opaque(WEB, stub.opaque_route(name="undefined-port", forbidden=True))
    )
    assert (found.http, found.opaque) == (
        None,
        Refused(403, "outbound policy forbids it", why="forbidden"),
    )


def test_without_routes_or_backends_nothing_goes_anywhere() -> None:
    made = stub.opaque(WEB)
    del made.protocol.opaque.routes[:]
    assert client_policy(made).opaque == Refused(404, "no route matches")
    made = stub.opaque(WEB, stub.opaque_route())
    assert client_policy(made).opaque == Refused(500, "the route has no backend")
    made = stub.opaque(WEB, stub.opaque_route(stub.backend(None)))
    assert client_policy(made).opaque == Refused(500, "the route has no backend")


def no_protocol(made: outbound.OutboundPolicy) -> None:
    made.ClearField("protocol")


def no_metadata(made: outbound.OutboundPolicy) -> None:
    made.ClearField("metadata")


def half_a_name(made: outbound.OutboundPolicy) -> None:
    made.metadata.resource.namespace = ""


def no_timeout(made: outbound.OutboundPolicy) -> None:
    made.protocol.detect.ClearField("timeout")


def no_http2(made: outbound.OutboundPolicy) -> None:
    made.protocol.detect.ClearField("http2")


def no_opaque(made: outbound.OutboundPolicy) -> None:
    made.protocol.detect.ClearField("opaque")


def no_rules(made: outbound.OutboundPolicy) -> None:
    del made.protocol.detect.http1.routes[0].rules[:]


def no_kind_of_backends(made: outbound.OutboundPolicy) -> None:
    made.protocol.detect.http1.routes[0].rules[0].ClearField("backends")


def empty_backends(made: outbound.OutboundPolicy) -> None:
    del made.protocol.detect.http1.routes[0].rules[0].backends.random_available.backends[:]


def no_queue(made: outbound.OutboundPolicy) -> None:
    first(made).ClearField("queue")


def no_load(made: outbound.OutboundPolicy) -> None:
    first(made).balancer.ClearField("peak_ewma")


def no_decay(made: outbound.OutboundPolicy) -> None:
    first(made).balancer.peak_ewma.ClearField("decay")


def no_path(made: outbound.OutboundPolicy) -> None:
    first(made).balancer.ClearField("discovery")


def no_address(made: outbound.OutboundPolicy) -> None:
    first(made).forward.weight = 1


def odd_filter(made: outbound.OutboundPolicy) -> None:
    made.protocol.detect.http1.routes[0].rules[0].filters.add()


def odd_match(made: outbound.OutboundPolicy) -> None:
    made.protocol.detect.http1.routes[0].rules[0].matches.add().path.SetInParent()


def odd_failure(made: outbound.OutboundPolicy) -> None:
    made.protocol.detect.http1.routes[0].rules[0].filters.add().failure_injector.SetInParent()


def first(made: outbound.OutboundPolicy) -> outbound.Backend:
    rule = made.protocol.detect.http1.routes[0].rules[0]
    return rule.backends.random_available.backends[0].backend.backend


@pytest.mark.parametrize(
    "spoil",
    [
        no_protocol, no_metadata, half_a_name, no_timeout, no_http2, no_opaque, no_rules, no_kind_of_backends,
        empty_backends, no_queue, no_load, no_decay, no_path, no_address, odd_filter, odd_match, odd_failure,
    ],
)  # fmt: skip
def test_what_linkerds_proxy_does_not_accept_is_refused(
    spoil: Callable[[outbound.OutboundPolicy], None],
) -> None:
    made = stub.detected(WEB)
    client_policy(made)
    spoil(made)
    with pytest.raises(ValueError, match=r"."):
        client_policy(made)


def test_a_load_that_penalizes_has_defaults() -> None:
    made = stub.detected(WEB)
    first(made).balancer.penalty_peak_ewma.SetInParent()
    assert client_policy(made).http == to("web")


def test_breakers_of_a_route_are_of_its_ways_alone() -> None:
    """What goes to the service itself by no route, or by another one, has not got them."""
    web = "web.shop.svc.cluster.local:80"
    route = stub.outbound_route(stub.backend(web))
    said = route.failure_accrual.consecutive_failures
    said.max_failures = said.backoff.min_backoff.seconds = said.backoff.max_backoff.seconds = 3
    detected = stub.detected(web, route)
    protocol = outbound.ProxyProtocol(http1=detected.protocol.detect.http1)
    found = client_policy(outbound.OutboundPolicy(protocol=protocol, metadata=detected.metadata))
    assert (found.http, found.own) == (to("web"), to("web"))
    assert found.routes is not None
    ((one,),) = (rule.destinations for rule in found.routes.routes.rules)
    assert isinstance(one.way, Balanced)
    assert one.way.name == to("web").name
    assert one.way.accrual is not None and one.way.accrual.max_failures == 3
