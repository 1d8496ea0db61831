"""Paths of requests: services, instances, addresses, and everything that is none of these."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.destination.questions import endpoints_question
from linkerd2_py.controlplane.destination.refusals import RefusedError
from linkerd2_py.controlplane.destination.targets import (
    AddressTarget,
    InvalidPathError,
    ServiceTarget,
    Target,
    parse_target,
)
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh

WEB = Key("emojivoto", "web-svc")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("web-svc.emojivoto.svc.cluster.local:8080", ServiceTarget(WEB, 8080)),
        ("web-svc.emojivoto.svc.cluster.local", ServiceTarget(WEB, 80)),
        # It is not known here that there is none in capitals.
        ("Web-Svc.emojivoto.svc.cluster.local:81", ServiceTarget(Key("emojivoto", "Web-Svc"), 81)),
        ("web-0.web-svc.emojivoto.svc.cluster.local:80", ServiceTarget(WEB, 80, "web-0")),
        ("127.0.1.2:4143", AddressTarget(ipaddress.ip_address("127.0.1.2"), 4143)),
        ("127.0.1.2", AddressTarget(ipaddress.ip_address("127.0.1.2"), 80)),
        ("[::1]:8080", AddressTarget(ipaddress.ip_address("::1"), 8080)),
    ],
)
def test_paths_that_can_be_discovered(path: str, target: Target) -> None:
    assert parse_target(path) == target


@pytest.mark.parametrize(
    "path",
    [
        "",
        "example.com:80",
        "web-svc:80",
        "web-svc.emojivoto:80",
        "svc.cluster.local:80",
        "web-svc.svc.cluster.local:80",
        "a.b.c.d.svc.cluster.local:80",
        "web-svc.emojivoto.svc.cluster.local.:80",
        "[web-svc.emojivoto.svc.cluster.local]",
        "web-svc.emojivoto.svc.cluster.local:0",
        "web-svc.emojivoto.svc.cluster.local:65536",
        "web-svc.emojivoto.svc.cluster.local:http",
        "web-svc.emojivoto.svc.cluster.local:",
        "1.2.3.4.5:80",
        "a" * 301,
    ],
)
def test_paths_that_cannot_be_discovered(path: str) -> None:
    with pytest.raises(InvalidPathError):
        parse_target(path)


@given(st.text(max_size=40) | st.text(alphabet="ab.:[]0-", max_size=20))
def test_any_text_is_a_target_or_invalid(path: str) -> None:
    try:
        parse_target(f"{path}.svc.cluster.local:80")
        parse_target(path)
    except InvalidPathError as error:
        assert str(error)  # noqa: PT017


def test_endpoints_of_an_address_cannot_be_asked_for() -> None:
    with pytest.raises(RefusedError, match="IP queries not supported") as refused:
        endpoints_question("127.0.0.1:80", mesh=Mesh())
    assert refused.value.reason == "invalid"


def test_fully_qualified_names_have_no_port() -> None:
    assert ServiceTarget(WEB, 80).fully_qualified_name == "web-svc.emojivoto.svc.cluster.local"
    instance = ServiceTarget(WEB, 80, "web-0")
    assert instance.fully_qualified_name == "web-0.web-svc.emojivoto.svc.cluster.local"
