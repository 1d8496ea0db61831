"""What pods say of the traffic that comes to them."""

from __future__ import annotations

from typing import Any

import pytest

from linkerd2_py.controlplane.mesh.inbound import NOTHING_SAID, NamedPort, Probe
from linkerd2_py.controlplane.sources.kubernetes.inbound import read_inbound


def pod(*containers: dict[str, Any], **annotations: str) -> dict[str, Any]:
    about = {
        f"config.linkerd.io/{name.replace('_', '-')}": annotations[name] for name in annotations
    }
    return {"metadata": {"annotations": about}, "spec": {"containers": list(containers)}}


def test_annotations() -> None:
    said = read_inbound(
        pod(
            default_inbound_policy="deny",
            opaque_ports="25,5432-5433",
            proxy_require_identity_inbound_ports="80",
        )
    )
    assert said.policy == "deny"
    assert said.opaque == frozenset({25, 5432, 5433})
    assert said.identified == frozenset({80})


def test_replicas_that_say_the_same_share_it() -> None:
    said = [read_inbound(pod(default_inbound_policy="deny")) for _ in range(2)]
    assert said[0] is said[1]
    assert read_inbound(pod()) is NOTHING_SAID


def test_names_are_those_of_tcp_ports_of_all_containers() -> None:
    first = {"ports": [{"name": "http", "containerPort": 80}, {"containerPort": 81}]}
    second = {"ports": [{"name": "http", "containerPort": 90, "protocol": "TCP"}]}
    udp = {"ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]}
    found = pod(first, second)
    found["spec"]["initContainers"] = [udp, {"ports": [{"name": "adm", "containerPort": 4191}]}]
    assert read_inbound(found).names == (
        NamedPort("http", 80),
        NamedPort("http", 90),
        NamedPort("adm", 4191),
    )


def test_an_external_workload_names_its_own_ports() -> None:
    found = {"spec": {"ports": [{"name": "http", "port": 8080}, {"port": 90}]}}
    assert read_inbound(found).names == (NamedPort("http", 8080),)


def test_probes_of_every_kind_and_container() -> None:
    app = {
        "ports": [{"name": "web", "containerPort": 80}],
        "livenessProbe": {"httpGet": {"path": "/live?full=1", "port": 8080}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "WEB"}},
        "startupProbe": {"httpGet": {"port": 8080}},
    }
    found = pod(app, {"livenessProbe": {"httpGet": {"path": "health", "port": 8080}}})
    found["spec"]["initContainers"] = [
        {"readinessProbe": {"httpGet": {"path": "/r", "port": 4191}}}
    ]
    assert read_inbound(found).probes == (
        Probe(80, "/ready"),
        Probe(4191, "/r"),
        Probe(8080, "/"),
        Probe(8080, "/health"),
        Probe(8080, "/live"),
    )


@pytest.mark.parametrize(
    "probe",
    [
        {"tcpSocket": {"port": 80}},
        {"httpGet": {"path": "/", "port": "elsewhere"}},
        {"httpGet": {"path": "/", "port": "dns"}},
        {"httpGet": {"path": "/", "port": 70000}},
        {"httpGet": None},
        None,
        [],
    ],
)
def test_what_is_no_probe_by_http(probe: object) -> None:
    container = {
        "ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}],
        "livenessProbe": probe,
    }
    # A port's name is one of the container that is probed.
    other = {"ports": [{"name": "elsewhere", "containerPort": 80}]}
    assert read_inbound(pod(container, other)).probes == ()
