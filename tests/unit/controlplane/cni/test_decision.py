"""Which pods get rules from their node, and which ones: held against what `proxy-init` itself reads."""

from __future__ import annotations

from typing import Any

import pytest

from linkerd2_py.controlplane.cni.decision import is_control_plane, is_ours, words_for
from linkerd2_py.controlplane.cni.question import CniError
from linkerd2_py.proxy.pod.init.arguments import Options, UsageError, parse
from linkerd2_py.proxy.pod.init.rules import Ports, Redirection

CONFIGURATION: dict[str, Any] = {
    "type": "linkerd-cni",
    "linkerd": {
        "incoming-proxy-port": 4143,
        "outgoing-proxy-port": 4140,
        "proxy-uid": 2102,
        "ports-to-redirect": [],
        "inbound-ports-to-ignore": ["4191", "4190"],
        "simulate": False,
        "use-wait-flag": False,
        "iptables-mode": "nft",
        "ipv6": False,
    },
}
PREFIX = "config.linkerd.io/"


def pod(
    *,
    containers: tuple[str, ...] = ("app", "linkerd-proxy"),
    init: tuple[str, ...] = ("linkerd-network-validator",),
    notes: dict[str, Any] | None = None,
    labels: dict[str, str] | None = None,
    proxy: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    def named(names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [{"name": one, **((proxy or {}) if one == "linkerd-proxy" else {})} for one in names]

    annotations = {f"{PREFIX}{name}": value for name, value in (notes or {}).items()}
    return {
        "metadata": {"annotations": annotations, "labels": labels or {}},
        "spec": {"containers": named(containers), "initContainers": named(init), **spec},
    }


def namespace(**notes: str) -> dict[str, Any]:
    annotations = {f"{PREFIX}{name.replace('_', '-')}": value for name, value in notes.items()}
    return {"metadata": {"annotations": annotations}}


def options(found: dict[str, Any], **more: Any) -> Options:
    given = {"namespace": {}, "configuration": CONFIGURATION, "api_ports": (), **more}
    return parse(words_for(found, **given).arguments)


def redirection(found: dict[str, Any], **more: Any) -> Redirection:
    wanted = options(found, **more).wanted
    assert wanted is not None
    return wanted


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (pod(), True),
        (pod(containers=("app",), init=("linkerd-network-validator", "linkerd-proxy")), True),
        (pod(init=("linkerd-init",)), False),
        (pod(containers=("app",)), False),
        (pod(init=()), True),
        ({}, False),
        ({"spec": None}, False),
        ({"spec": {"containers": [None, "linkerd-proxy", {"name": ["linkerd-proxy"]}]}}, False),
    ],
)
def test_pods_with_a_proxy_and_without_an_init_container(found: dict[str, Any], ours: bool) -> None:
    assert is_ours(found) == ours


def test_what_the_node_says_holds_where_the_pod_says_nothing() -> None:
    assert redirection(pod()) == Redirection(
        inbound_port=4143,
        outbound_port=4140,
        uid=2102,
        skip_inbound=(Ports(4191, 4191), Ports(4190, 4190)),
    )
    read = options(pod())
    assert (read.families, read.mode, read.wait) == ((4,), "nft", False)


def test_every_setting_of_the_node_arrives() -> None:
    linkerd = {
        "incoming-proxy-port": 5143,
        "outgoing-proxy-port": 5140,
        "proxy-uid": 3000,
        "proxy-gid": 3001,
        "ports-to-redirect": [80, 81],
        "inbound-ports-to-ignore": ["7000-7010"],
        "outbound-ports-to-ignore": ["8000", "8010-8020"],
        "subnets-to-ignore": ["10.1.0.0/16", "fd00::/8"],
        "use-wait-flag": True,
        "iptables-mode": "legacy",
        "ipv6": True,
    }
    read = options(pod(), configuration={"linkerd": linkerd})
    assert read.wanted == Redirection(
        inbound_port=5143,
        outbound_port=5140,
        uid=3000,
        gid=3001,
        only_inbound=(80, 81),
        skip_inbound=(Ports(7000, 7010),),
        skip_outbound=(Ports(8000, 8000), Ports(8010, 8020)),
        subnets=((4, "10.1.0.0/16"), (6, "fd00::/8")),
    )
    assert (read.families, read.mode, read.wait) == ((4, 6), "legacy", True)


def test_annotations_of_the_pod_before_those_of_its_namespace() -> None:
    notes = {
        "skip-inbound-ports": "1234",
        "skip-outbound-ports": "3306,5000-5010",
        "skip-subnets": "10.9.0.0/16",
        "proxy-uid": "2200",
    }
    around = namespace(
        skip_inbound_ports="1", skip_outbound_ports="2", proxy_uid="3", proxy_gid="2300"
    )
    read = redirection(pod(notes=notes), namespace=around)
    assert read.skip_inbound == (Ports(4191, 4191), Ports(4190, 4190), Ports(1234, 1234))
    assert read.skip_outbound == (Ports(3306, 3306), Ports(5000, 5010))
    assert read.subnets == ((4, "10.9.0.0/16"),)
    assert (read.uid, read.gid) == (2200, 2300)


def test_the_proxy_as_it_will_run_before_anything_that_is_said_of_it() -> None:
    """Else its own connections come back to it, or what comes in goes where nobody listens."""
    proxy = {
        "securityContext": {"runAsUser": 2102, "runAsGroup": 2103},
        "env": [
            {"name": "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "value": "[::]:6143"},
            {"name": "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS", "value": "127.0.0.1:6140,[::1]:6140"},
            {"name": "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "value": "0.0.0.0:6191"},
            {"name": "LINKERD2_PROXY_CONTROL_LISTEN_ADDR", "value": "0.0.0.0:4190"},
            {"name": "OTHER", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
        ],
    }
    read = redirection(pod(proxy=proxy), namespace=namespace(proxy_uid="9"))
    assert (read.inbound_port, read.outbound_port) == (6143, 6140)
    assert (read.uid, read.gid) == (2102, 2103)
    assert [one.first for one in read.skip_inbound] == [4191, 4190, 6191]


def test_a_user_that_the_whole_pod_has_is_the_proxys_too() -> None:
    assert redirection(pod(securityContext={"runAsUser": 7})).uid == 7


def test_a_control_plane_asks_the_api_server_beside_its_proxy() -> None:
    found = pod(
        labels={"linkerd.io/control-plane-component": "destination"},
        notes={"skip-outbound-ports": "4567"},
    )
    assert is_control_plane(found)
    assert not is_control_plane(pod())
    read = redirection(found, api_ports=("443", "6443"))
    assert [one.first for one in read.skip_outbound] == [4567, 443, 6443]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("skip-inbound-ports", "80,http", "'http' is not a port"),
        ("skip-outbound-ports", "9-3", "'9-3' is not a rising range"),
        ("skip-subnets", "10.0.0.1", "'10.0.0.1' is not a valid CIDR"),
        ("proxy-uid", "root", "'root' is not a whole number"),
        ("skip-inbound-ports", "--cleanup", "'' is not a port"),
        ("skip-inbound-ports", "80 --cleanup", "'80 ' is not a port"),
    ],
)
@pytest.mark.parametrize("whose", ["the pod", "the namespace"])
def test_who_was_wrong_is_named(name: str, value: str, told: str, whose: str) -> None:
    found = pod(notes={name: value} if whose == "the pod" else {})
    around = namespace(**{name.replace("-", "_"): value}) if whose == "the namespace" else {}
    words = words_for(found, namespace=around, configuration=CONFIGURATION, api_ports=())
    with pytest.raises(UsageError) as caught:
        parse(words.arguments)
    said = words.blamed(str(caught.value))
    assert said.startswith(f"annotation {PREFIX}{name} of {whose}: {told}")


def test_a_byte_that_no_argument_can_have_is_refused() -> None:
    with pytest.raises(CniError, match="has a NUL in it"):
        redirection(pod(notes={"skip-inbound-ports": "80\0"}))


@pytest.mark.parametrize(
    ("linkerd", "told"),
    [
        ([], "linkerd: it is not an object"),
        ({"incoming-proxy-port": "4143"}, "linkerd.incoming-proxy-port: it is not a number"),
        ({"incoming-proxy-port": True}, "linkerd.incoming-proxy-port: it is not a number"),
        ({"ipv6": "yes"}, "linkerd.ipv6: it is not true or false"),
        ({"inbound-ports-to-ignore": "80"}, "linkerd.inbound-ports-to-ignore: it is not a list"),
        ({"iptables-mode": None}, "linkerd.iptables-mode: it is not a text"),
    ],
)
def test_a_configuration_that_is_none_names_the_field(linkerd: Any, told: str) -> None:
    with pytest.raises(CniError, match=told):
        redirection(pod(), configuration={"linkerd": linkerd})


@pytest.mark.parametrize("odd", [None, 7, "x", [], ["x"], {"a": 1}])
def test_fields_of_any_type_are_as_if_they_were_not_there(odd: Any) -> None:
    found = pod(proxy={"env": odd, "securityContext": odd}, securityContext=odd)
    found["metadata"]["annotations"] = odd
    found["metadata"]["labels"] = odd
    assert redirection(found, namespace={"metadata": odd}).uid == 2102
    assert not is_control_plane(found)
