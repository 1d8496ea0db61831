"""Services and their slices: which ports there are, which are opaque, and who serves them."""

from __future__ import annotations

from typing import Any

import pytest

from linkerd2_py.controlplane.mesh.objects import (
    Endpoint,
    Federated,
    Gateway,
    Key,
    Mirrored,
    PortSpec,
)
from linkerd2_py.controlplane.sources.kubernetes.services import (
    endpoints_of,
    read_service,
    read_slice,
)


def service(
    *ports: dict[str, Any], annotations: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    about = {"name": "web", "namespace": "shop", "annotations": annotations}
    return {"metadata": about, "spec": {"ports": list(ports), **spec}}


def sliced(name: str, *endpoints: dict[str, Any], ports: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": ports,
    }


HTTP = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
POD = {"kind": "Pod", "namespace": "shop", "name": "web-1"}


def test_tcp_ports_with_the_port_of_the_pod_by_number_or_name() -> None:
    udp = {"name": "dns", "port": 53, "protocol": "UDP"}
    found = read_service(service(HTTP, {"port": 81, "targetPort": 8081}, {"port": 82}, udp)).service
    assert found.ports == (
        PortSpec("http", 80, "http"),
        PortSpec("", 81, 8081),
        PortSpec("", 82, 82),
    )


def test_addresses_of_both_families_and_none() -> None:
    both = read_service(service(clusterIP="10.0.0.1", clusterIPs=["10.0.0.1", "fd00:0::1"])).service
    assert both.ips == ("10.0.0.1", "fd00::1")
    assert not both.headless
    older = read_service(service(clusterIP="10.0.0.1")).service
    assert older.ips == ("10.0.0.1",)
    headless = read_service(service(clusterIP="None", clusterIPs=["None"])).service
    assert (headless.ips, headless.headless) == ((), True)


@pytest.mark.parametrize(
    ("own", "namespace", "opaque"),
    [
        (None, None, [3306]),
        (None, "80", [80]),
        (None, "", []),
        ("80,81", "3306", [80, 81]),
        ("", "80", []),
        ("80-90", None, [80, 81]),
    ],
)
def test_opaque_is_what_the_service_says_or_its_namespace_or_what_mostly_is(
    own: str | None, namespace: str | None, opaque: list[int]
) -> None:
    said = {} if own is None else {"config.linkerd.io/opaque-ports": own}
    ports = ({"port": 80}, {"port": 81}, {"port": 3306})
    found = read_service(service(*ports, annotations=said)).in_namespace(namespace)
    assert [spec.port for spec in found.ports if spec.opaque] == opaque


def test_endpoints_of_a_named_port_are_at_the_number_that_each_slice_found() -> None:
    one = sliced(
        "b", {"addresses": ["10.0.0.2"], "targetRef": POD}, ports=[{"name": "http", "port": 8080}]
    )
    two = sliced("a", {"addresses": ["10.0.0.1"]}, ports=[{"name": "http", "port": 9090}])
    (found,) = endpoints_of(
        read_service(service(HTTP)).service, slices=[read_slice(one), read_slice(two)]
    )
    assert found.key == ("shop", "web", 80)
    assert found.endpoints == (
        Endpoint("10.0.0.1", 9090),
        Endpoint("10.0.0.2", 8080, pod=Key("shop", "web-1")),
    )


def test_the_number_of_a_slice_wins_over_the_one_that_the_service_gives() -> None:
    """Kubernetes writes slices with that very number; in one that somebody else wrote another is meant."""
    numbered = {"name": "http", "port": 80, "targetPort": 7070}
    one = sliced("a", {"addresses": ["10.0.0.1"]}, ports=[{"name": "http", "port": 8080}])
    (found,) = endpoints_of(read_service(service(numbered)).service, slices=[read_slice(one)])
    assert [end.port for end in found.endpoints] == [8080]


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        (None, True),
        ({}, True),
        ({"ready": None}, True),
        ({"ready": True}, True),
        ({"ready": False}, False),
    ],
)
def test_who_says_nothing_is_ready(conditions: object, ready: bool) -> None:
    end = {"addresses": ["10.0.0.1"], "conditions": conditions, "zone": "a", "hostname": "web-0"}
    found = read_slice(sliced("a", end, ports=[])).endpoints[0]
    assert (found.ready, found.zone, found.hostname) == (ready, "a", "web-0")


def test_a_slice_of_names_says_nothing() -> None:
    named = sliced("a", {"addresses": ["example.org"]}, ports=[{"name": "http", "port": 80}])
    assert read_slice({**named, "addressType": "FQDN"}).endpoints == ()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, (False, False)),
        ({"type": "ExternalName", "externalName": "example.com"}, (True, False)),
        ({"internalTrafficPolicy": "Local"}, (False, True)),
        ({"internalTrafficPolicy": "Cluster"}, (False, False)),
    ],
)
def test_aliases_and_services_of_each_node(
    spec: dict[str, str], expected: tuple[bool, bool]
) -> None:
    found = service(HTTP)
    found["spec"] |= spec
    read = read_service(found).service
    assert (read.alias, read.local) == expected


def test_services_of_other_clusters() -> None:
    key = "multicluster.linkerd.io"
    mirrored = service(HTTP)
    mirrored["metadata"]["labels"] = {f"{key}/remote-discovery": "west"}
    assert read_service(mirrored).service.mirrored == Mirrored("west", "")
    mirrored["metadata"]["labels"][f"{key}/remote-service"] = "web"
    assert read_service(mirrored).service.mirrored == Mirrored("west", "web")
    joined = service(HTTP)
    joined["metadata"]["annotations"] = {f"{key}/remote-discovery": ""}
    assert read_service(joined).service.federated == Federated("")
    joined["metadata"]["annotations"] = {f"{key}/local-discovery": "web"}
    assert read_service(joined).service.federated == Federated("web")
    assert read_service(service(HTTP)).service.federated is None


def test_opaque_ports_may_be_named() -> None:
    named = service(HTTP, {"name": "sql", "port": 81})
    named["metadata"]["annotations"] = {"config.linkerd.io/opaque-ports": "sql"}
    assert [port.opaque for port in read_service(named).in_namespace(None).ports] == [False, True]
    # Who names others has none of those that mostly are.
    mysql = service({"name": "mysql", "port": 3306})
    assert read_service(mysql).in_namespace(None).ports[0].opaque
    assert not read_service(mysql).in_namespace(None, default=frozenset()).ports[0].opaque


def test_a_gateways_slice_and_the_zones_that_it_is_meant_for() -> None:
    gateway = sliced("a", {"addresses": ["203.0.113.7"]}, ports=[{"name": "http", "port": 4143}])
    gateway["metadata"]["annotations"] = {
        "mirror.linkerd.io/remote-gateway-identity": "gw.mesh",
        "mirror.linkerd.io/remote-svc-fq-name": "web.shop.svc.west",
    }
    gateway["metadata"]["labels"]["mirror.linkerd.io/cluster-name"] = "west"
    zones = {"forZones": [{"name": "b"}, {"name": "a"}]}
    gateway["endpoints"][0]["hints"] = zones
    vm = {"kind": "ExternalWorkload", "namespace": "shop", "name": "vm"}
    gateway["endpoints"].append({"addresses": ["198.51.100.4"], "targetRef": vm})
    (found,) = endpoints_of(read_service(service(HTTP)).service, slices=[read_slice(gateway)])
    assert found.endpoints == (
        Endpoint(
            "203.0.113.7",
            4143,
            for_zones=("a", "b"),
            gateway=Gateway("gw.mesh", "web.shop.svc.west"),
        ),
        Endpoint("198.51.100.4", 4143, external=Key("shop", "vm")),
    )
    assert found.labels == {
        "target_cluster": "west",
        "target_service": "web",
        "target_service_namespace": "shop",
    }


def test_what_is_written_for_a_service_knows_its_uid_families_and_other_ports() -> None:
    said = service(HTTP, {"name": "dns", "port": 53, "protocol": "UDP"})
    said["metadata"]["uid"] = "one"
    said["spec"]["ipFamilies"] = ["IPv6", "IPv4", "IPv5"]
    found = read_service(said).service
    assert (found.uid, found.families) == ("one", (6, 4))
    assert [spec.name for spec in found.ports] == ["http"]
    assert [(spec.name, spec.protocol) for spec in found.other_ports] == [("dns", "UDP")]
    said["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert read_service(said).service.uid == ""
