"""What holds for a port: Servers, default policies, authorizations, routes and rate limits, of objects as a
source makes them.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from linkerd2_py.controlplane.mesh.inbound import InboundSettings, NamedPort, Probe
from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.objects import Key, MeshObject, Namespace, Pod
from linkerd2_py.controlplane.mesh.policy import (
    Authentication,
    AuthorizationPolicy,
    Clients,
    ExternalAuthorization,
    HTTPLocalRateLimitPolicy,
    Identities,
    MeshTLSAuthentication,
    NetworkAuthentication,
    RateOverride,
    Server,
    ServerAuthorization,
    Target,
)
from linkerd2_py.controlplane.mesh.routes import (
    POLICY,
    GRPCMatch,
    GRPCRoute,
    GRPCRule,
    HeaderModifier,
    HTTPMatch,
    HTTPRoute,
    HTTPRule,
    PathMatch,
    Redirect,
    Rewrite,
    UnsupportedFilter,
)
from linkerd2_py.controlplane.mesh.selector import Requirement, Selector
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.inbound.policy import port_policy
from linkerd2_py.controlplane.policy.inbound.questions import port_question
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen.http_types_pb2 import HttpMethod

NETWORK = Network(ip_network("10.1.0.0/16"), (ip_network("10.1.9.0/24"),))
SETTINGS = Settings(cluster=Cluster(networks=(ip_network("10.0.0.0/8"),)))
POD = Pod(
    "shop",
    "web-0",
    meshed=True,
    labels={"app": "web"},
    inbound=InboundSettings(names=(NamedPort("http", 8080), NamedPort("http", 8081))),
)
SERVER = Server("shop", "web", 8080, pods=Selector({"app": "web"}), proxy_protocol="HTTP/1")
ON_SERVER = Target("Server", "web")
MINE = Parent(POLICY, "Server", "shop", "web")
EVERYWHERE = ["0.0.0.0/0", "::/0"]


def answer(
    *objects: MeshObject,
    port: int = 8080,
    pod: Pod = POD,
    settings: Settings = SETTINGS,
    external: bool = False,
) -> inbound.Server:
    store = MeshStore()
    store.put(pod, *objects)
    question = port_question(f"shop:{pod.name}", port, external=external)
    encoded = port_policy(question, mesh=store.mesh, settings=settings).encoded
    assert encoded is not None
    return inbound.Server.FromString(encoded)


def saying(**said: object) -> Pod:
    return replace(POD, inbound=replace(POD.inbound, **said))


def names(server: inbound.Server) -> list[str]:
    return [one.labels["name"] for one in server.authorizations]


def networks(authz: inbound.Authz) -> list[str]:
    return [written(one.net) for one in authz.networks]


def written(net: object) -> str:
    ip = net.ip  # type: ignore[attr-defined]
    number = ip.ipv4 if ip.HasField("ipv4") else ip.ipv6.first << 64 | ip.ipv6.last
    kind = "0.0.0.0/0" if ip.HasField("ipv4") else "::/0"
    address = type(ip_network(kind).network_address)(number)
    return f"{address}/{net.prefix_len}"  # type: ignore[attr-defined]


def proof(authz: inbound.Authz) -> str:
    """What a client must prove, in a word."""
    kind = authz.authentication.WhichOneof("permit")
    return kind if kind != "meshTLS" else str(authz.authentication.meshTLS.WhichOneof("clients"))


@pytest.mark.parametrize(
    ("policy", "proves", "where"),
    [
        ("all-unauthenticated", "unauthenticated", EVERYWHERE),
        ("all-authenticated", "identities", EVERYWHERE),
        ("cluster-unauthenticated", "unauthenticated", ["10.0.0.0/8"]),
        ("cluster-authenticated", "identities", ["10.0.0.0/8"]),
        ("audit", "unauthenticated", EVERYWHERE),
    ],
)
def test_default_policies_let_in_whom_they_name(policy: str, proves: str, where: list[str]) -> None:
    found = answer(settings=replace(SETTINGS, default_policy=policy))
    (authz,) = found.authorizations
    assert (proof(authz), networks(authz)) == (proves, where)
    assert dict(found.labels) == {"group": "", "kind": "default", "name": policy}
    assert authz.metadata.default == policy
    if proves == "identities":
        # Whoever has an identity, whichever that is.
        allowed = authz.authentication.meshTLS.identities
        assert [list(one.parts) for one in allowed.suffixes] == [[]]


def test_deny_lets_nobody_in() -> None:
    found = answer(settings=replace(SETTINGS, default_policy="deny"))
    assert not found.authorizations
    assert found.labels["name"] == "deny"


def test_a_pod_goes_before_its_namespace_and_that_before_the_cluster() -> None:
    denying = Namespace("shop", annotations={"config.linkerd.io/default-inbound-policy": "deny"})
    assert answer(denying).labels["name"] == "deny"
    assert answer(denying, pod=saying(policy="audit")).labels["name"] == "audit"
    # What is no policy says nothing.
    assert answer(pod=saying(policy="all")).labels["name"] == "all-unauthenticated"


def test_no_default_at_all_is_deny() -> None:
    assert not answer(settings=replace(SETTINGS, default_policy="everybody")).authorizations


def test_identified_ports_let_no_stranger_in() -> None:
    pod = saying(identified=frozenset({8080}))
    assert answer(pod=pod).labels["name"] == "all-authenticated"
    assert answer(pod=pod, port=8081).labels["name"] == "all-unauthenticated"
    cluster = replace(SETTINGS, default_policy="cluster-unauthenticated")
    assert answer(pod=pod, settings=cluster).labels["name"] == "cluster-authenticated"


def test_opaque_ports_are_not_detected() -> None:
    pod = saying(opaque=frozenset({8080}))
    assert answer(pod=pod).protocol.WhichOneof("kind") == "opaque"
    detect = answer(pod=pod, port=8081).protocol.detect
    assert detect.timeout.seconds == 10


@pytest.mark.parametrize("protocol", ["unknown", "HTTP/1", "HTTP/2", "gRPC", "opaque", "TLS"])
def test_a_server_says_what_is_spoken(protocol: str) -> None:
    kinds = {"unknown": "detect", "HTTP/1": "http1", "HTTP/2": "http2", "gRPC": "grpc"}
    found = answer(replace(SERVER, proxy_protocol=protocol))
    assert found.protocol.WhichOneof("kind") == kinds.get(protocol, protocol.lower())
    assert dict(found.labels) == {"group": POLICY, "kind": "server", "name": "web"}


def test_a_server_by_name_is_every_port_of_that_name() -> None:
    named = replace(SERVER, port="http")
    assert answer(named, port=8080).labels["name"] == "web"
    assert answer(named, port=8081).labels["name"] == "web"
    assert answer(named, port=8082).labels["kind"] == "default"


def test_of_several_servers_the_oldest_is_it_then_the_first_by_name() -> None:
    old = replace(SERVER, name="z", created=1.0, port="http")
    young = replace(SERVER, name="a", created=2.0)
    assert answer(young, old).labels["name"] == "z"
    assert answer(young, replace(old, created=2.0)).labels["name"] == "a"


def test_a_server_is_of_its_own_namespace_and_selector() -> None:
    others = replace(SERVER, namespace="other")
    unselected = replace(SERVER, name="b", pods=Selector({"app": "db"}))
    external = replace(SERVER, name="c", pods=None, external_workloads=Selector())
    assert answer(others, unselected, external).labels["kind"] == "default"
    some = Selector(requirements=(Requirement("app", "In", frozenset({"web", "db"})),))
    assert answer(replace(SERVER, pods=some)).labels["kind"] == "server"


def test_a_server_without_authorizations_has_its_access_policy() -> None:
    assert not answer(SERVER).authorizations
    assert names(answer(replace(SERVER, access_policy="audit"))) == ["audit"]
    assert names(answer(replace(SERVER, access_policy="all"))) == []
    # A default policy is about ports that no Server is about.
    assert not answer(SERVER, pod=saying(policy="all-unauthenticated")).authorizations


def test_server_authorizations_by_name_and_by_labels() -> None:
    clients = Clients((NETWORK,), Identities(("*.shop", "a.b", "*"), (Key("shop", "web"),)))
    named = ServerAuthorization("shop", "named", "web", clients=clients)
    labelled = ServerAuthorization(
        "shop", "labelled", selector=Selector({"tier": "front"}), clients=Clients(tls=True)
    )
    broken = ServerAuthorization("shop", "broken", "web")
    found = answer(replace(SERVER, labels={"tier": "front"}), named, labelled, broken)
    assert names(found) == ["labelled", "named"]
    by_labels, by_name = found.authorizations
    assert proof(by_labels) == "unauthenticated"
    assert by_labels.authentication.WhichOneof("permit") == "meshTLS"
    # Those that name no network mean the cluster's.
    assert networks(by_labels) == ["10.0.0.0/8"]
    assert networks(by_name) == ["10.1.0.0/16"]
    assert [written(net) for net in getattr(by_name.networks[0], "except")] == ["10.1.9.0/24"]
    allowed = by_name.authentication.meshTLS.identities
    assert [one.name for one in allowed.identities] == [
        "a.b",
        "web.shop.serviceaccount.identity.linkerd.cluster.local",
    ]
    assert [list(one.parts) for one in allowed.suffixes] == [["shop"], []]
    assert by_name.metadata.resource.kind == "serverauthorization"
    assert names(answer(SERVER, labelled)) == []


MESH_TLS = MeshTLSAuthentication("auth", "clients", Identities(namespaces=("client",)))
NETWORKS = NetworkAuthentication("auth", "nets", (NETWORK,))
BY_TLS = Authentication("MeshTLSAuthentication", "auth", "clients")
BY_NETWORK = Authentication("NetworkAuthentication", "auth", "nets")
BY_ACCOUNT = Authentication("ServiceAccount", "client", "cli")


def test_a_policy_requires_all_that_it_names() -> None:
    policy = AuthorizationPolicy("shop", "both", ON_SERVER, (BY_TLS, BY_NETWORK))
    (authz,) = answer(SERVER, policy, MESH_TLS, NETWORKS).authorizations
    assert networks(authz) == ["10.1.0.0/16"]
    (suffix,) = authz.authentication.meshTLS.identities.suffixes
    assert ".".join(suffix.parts) == "client.serviceaccount.identity.linkerd.cluster.local"
    # Until all of them are there, nobody passes.
    assert names(answer(SERVER, policy, MESH_TLS)) == []
    assert names(answer(SERVER, policy, NETWORKS)) == []


@pytest.mark.parametrize(
    ("requires", "lets_in"),
    [
        ((), True),
        ((BY_ACCOUNT,), True),
        ((BY_NETWORK, BY_ACCOUNT), True),
        ((BY_TLS, BY_ACCOUNT), False),
        ((BY_NETWORK, BY_NETWORK), False),
        (None, False),
    ],
)
def test_what_a_policy_may_require(
    requires: tuple[Authentication, ...] | None, lets_in: bool
) -> None:
    policy = AuthorizationPolicy("shop", "one", ON_SERVER, requires)
    found = answer(SERVER, policy, MESH_TLS, NETWORKS)
    assert bool(found.authorizations) == lets_in


ASKED = ExternalAuthorization(
    "shop", "opa", Key("auth", "opa"), 9191, extensions={"b": "2", "a": "1"}
)
BY_ASKING = Authentication("ExternalAuthorization", "shop", "opa")


def test_somebody_else_is_asked_about_those_whom_a_policy_means() -> None:
    policy = AuthorizationPolicy("shop", "asked", ON_SERVER, (BY_ACCOUNT, BY_ASKING))
    (authz,) = answer(SERVER, policy, ASKED, external=True).authorizations
    assert proof(authz) == "identities"
    said = authz.external_authorization
    assert said.authority == "opa.auth.svc.cluster.local:9191"
    assert (said.timeout.nanos, said.fail_open, said.status_on_error) == (200_000_000, False, 503)
    assert dict(said.context_extensions) == {"a": "1", "b": "2"}
    assert said.metadata.resource.kind == "ExternalAuthorization"
    # Who would leave it out is not told of it, and so lets nobody in by it.
    assert names(answer(SERVER, policy, ASKED)) == []


@pytest.mark.parametrize("there", [[], [replace(ASKED, service=None)]])
def test_nobody_is_let_in_while_the_authorizer_is_not_known(
    there: list[ExternalAuthorization],
) -> None:
    policy = AuthorizationPolicy("shop", "asked", ON_SERVER, (BY_ASKING,))
    assert names(answer(SERVER, policy, *there, external=True)) == []
    twice = replace(policy, requires=(BY_ASKING, BY_ASKING))
    assert names(answer(SERVER, twice, ASKED, external=True)) == []


def test_a_policy_of_no_requirement_lets_everybody_in() -> None:
    (authz,) = answer(SERVER, AuthorizationPolicy("shop", "any", ON_SERVER)).authorizations
    assert (proof(authz), networks(authz)) == ("unauthenticated", EVERYWHERE)
    assert authz.labels["kind"] == "authorizationpolicy"


def test_authentications_that_cannot_be_understood_pass_nobody() -> None:
    policy = AuthorizationPolicy("shop", "both", ON_SERVER, (BY_TLS, BY_NETWORK))
    nobody = replace(MESH_TLS, identities=None)
    nowhere = replace(NETWORKS, networks=())
    assert not answer(SERVER, policy, nobody, NETWORKS).authorizations
    assert not answer(SERVER, policy, MESH_TLS, nowhere).authorizations


def test_a_policy_of_a_namespace_is_about_all_its_servers() -> None:
    policy = AuthorizationPolicy("shop", "all", Target("Namespace"))
    other = AuthorizationPolicy("shop", "other", Target("Server", "db"))
    unknown = AuthorizationPolicy("shop", "unknown", None)
    assert names(answer(SERVER, policy, other, unknown)) == ["all"]
    # What no Server is about has its default policy.
    assert names(answer(policy)) == ["all-unauthenticated"]


GET = HTTPMatch(PathMatch("PathPrefix", "/api"), method="GET")
ROUTE = HTTPRoute(
    group=POLICY, namespace="shop", name="get", parents=(MINE,), rules=(HTTPRule(matches=(GET,)),)
)


def test_routes_stand_in_the_order_of_their_age_with_what_is_said_of_each() -> None:
    gateway = replace(ROUTE, group="gateway.networking.k8s.io", created=1.0)
    policies = [
        AuthorizationPolicy("shop", "of-linkerds", Target("HTTPRoute", "get", POLICY)),
        AuthorizationPolicy("shop", "of-gateways", Target("HTTPRoute", "get", gateway.group)),
    ]
    found = answer(SERVER, replace(ROUTE, created=2.0), gateway, *policies)
    groups = [route.metadata.resource.group for route in found.protocol.http1.routes]
    assert groups == [gateway.group, POLICY]
    first, second = found.protocol.http1.routes
    assert [one.labels["name"] for one in first.authorizations] == ["of-gateways"]
    assert [one.labels["name"] for one in second.authorizations] == ["of-linkerds"]
    older = answer(SERVER, replace(ROUTE, created=0.5), gateway).protocol.http1.routes
    assert [route.metadata.resource.group for route in older] == [POLICY, gateway.group]
    assert second.rules[0].matches[0].method.registered == HttpMethod.GET
    assert not found.authorizations


def test_filters_of_requests_are_said_and_those_of_responses_left_out() -> None:
    filters = (
        HeaderModifier("request", adds=(("X-A", "1"),)),
        HeaderModifier("response", adds=(("X-B", "1"),)),
        Redirect(hostname="example.com", status=301),
    )
    route = replace(
        ROUTE, hostnames=("*.shop.org",), rules=(HTTPRule(matches=(GET,), filters=filters),)
    )
    (said,) = answer(SERVER, route).protocol.http1.routes
    kinds = [one.WhichOneof("kind") for one in said.rules[0].filters]
    assert kinds == ["request_header_modifier", "redirect"]
    assert list(said.hosts[0].suffix.reverse_labels) == ["org", "shop"]


@pytest.mark.parametrize(
    "route",
    [
        replace(ROUTE, rules=(HTTPRule(matches=(GET,), filters=(UnsupportedFilter("X"),)),)),
        replace(ROUTE, rules=(HTTPRule(matches=(GET,), filters=(Rewrite("a.org"),)),)),
        replace(ROUTE, rules=(HTTPRule(matches=(HTTPMatch(PathMatch("Exact", "api")),)),)),
        replace(ROUTE, parents=(MINE, MINE._replace(namespace="other"))),
        replace(ROUTE, parents=(MINE._replace(group="example.com"),)),
        replace(ROUTE, namespace="other"),
    ],
    ids=["filter", "rewrite", "path", "parent elsewhere", "another's Server", "of elsewhere"],
)
def test_a_route_that_cannot_be_is_as_if_it_were_not_there(route: HTTPRoute) -> None:
    (said,) = answer(SERVER, route).protocol.http1.routes
    assert said.metadata.default == "default"


def test_grpc_routes_go_before_http_routes_of_a_server() -> None:
    """As statuses say it: the HTTPRoute is in conflict."""
    calls = GRPCRoute(
        namespace="shop",
        name="calls",
        parents=(MINE,),
        rules=(GRPCRule(matches=(GRPCMatch(has_method=True, service="a.B", method="C"),)),),
    )
    policy = AuthorizationPolicy("shop", "p", Target("GRPCRoute", "calls", calls.group))
    found = answer(replace(SERVER, proxy_protocol="gRPC"), calls, ROUTE, policy)
    (said,) = found.protocol.grpc.routes
    assert said.metadata.resource.kind == "GRPCRoute"
    assert said.rules[0].matches[0].rpc.service == "a.B"
    assert [one.labels["name"] for one in said.authorizations] == ["p"]
    (by_default,) = answer(SERVER, calls, ROUTE).protocol.http1.routes
    assert by_default.metadata.default == "default"


PROBED = saying(probes=(Probe(8080, "/live"), Probe(8080, "/ready"), Probe(9090, "/live")))


@pytest.mark.parametrize("objects", [(), (replace(SERVER, proxy_protocol="unknown"),)])
def test_probes_are_let_in_from_where_kubelets_are(objects: tuple[Server, ...]) -> None:
    settings = replace(
        SETTINGS, default_policy="deny", probe_networks=(ip_network("192.0.2.0/24"),)
    )
    found = answer(*objects, pod=PROBED, settings=settings)
    assert not found.authorizations
    everything, probes = found.protocol.detect.http_routes
    assert everything.metadata.default == "default"
    assert not everything.authorizations
    assert probes.metadata.default == "probe"
    assert [one.path.exact for one in probes.rules[0].matches] == ["/live", "/ready"]
    assert {one.method.registered for one in probes.rules[0].matches} == {HttpMethod.GET}
    (authz,) = probes.authorizations
    assert (proof(authz), networks(authz)) == ("unauthenticated", ["192.0.2.0/24"])


def test_probes_stand_behind_routes_and_need_networks() -> None:
    (said,) = answer(SERVER, ROUTE, pod=PROBED).protocol.http1.routes
    assert said.metadata.resource.name == "get"
    nowhere = replace(SETTINGS, probe_networks=())
    assert len(answer(pod=PROBED, settings=nowhere).protocol.detect.http_routes) == 1
    assert len(answer(pod=PROBED, port=8081).protocol.detect.http_routes) == 1


def test_the_oldest_rate_limit_holds() -> None:
    override = RateOverride(5, (Key("client", "cli"),))
    old = HTTPLocalRateLimitPolicy("shop", "z", "web", 10, 2, (override,), created=1.0)
    young = replace(old, name="a", total=99, created=2.0)
    limit = answer(SERVER, old, young).protocol.http1.local_rate_limit
    assert limit.metadata.resource.name == "z"
    assert (limit.total.requestsPerSecond, limit.identity.requestsPerSecond) == (10, 2)
    (said,) = limit.overrides
    assert said.limit.requestsPerSecond == 5
    assert said.clients.identities[0].name == (
        "cli.client.serviceaccount.identity.linkerd.cluster.local"
    )
    unlimited = answer(SERVER, replace(old, total=None, identity=None, overrides=()))
    assert not unlimited.protocol.http1.local_rate_limit.HasField("total")
    assert not answer(SERVER).protocol.http1.HasField("local_rate_limit")
