"""The CNI plugin's objects: what is said there arrives at `proxy-init`, and nobody may do more than is needed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linkerd2_py.charts.cni import cni_values, render_cni
from linkerd2_py.charts.evaluate import ValuesError
from linkerd2_py.charts.values import Layers
from linkerd2_py.controlplane.cni.decision import words_for
from linkerd2_py.proxy.pod.init.arguments import Options, parse
from linkerd2_py.proxy.pod.init.rules import Ports


def rendered(*said: str, namespace: str = "linkerd-cni") -> dict[tuple[str, str], dict[str, Any]]:
    made = render_cni(cni_values(Layers(set=said)), namespace=namespace)
    return {(one["kind"], one["metadata"]["name"]): one for one in made}


def options(*said: str) -> Options:
    """What a pod gets that says nothing itself."""
    config = rendered(*said)["ConfigMap", "linkerd-cni-config"]
    entry = json.loads(config["data"]["cni_network_config"])
    assert entry["type"] == "linkerd-cni"
    return parse(words_for({}, namespace={}, configuration=entry, api_ports=()).arguments)


def agent(*said: str) -> dict[str, Any]:
    pod = rendered(*said)["DaemonSet", "linkerd-cni"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return {**container, "pod": pod}


def test_what_the_values_say_is_what_pods_get() -> None:
    usual = options().wanted
    assert usual is not None
    assert (usual.inbound_port, usual.outbound_port, usual.uid, usual.gid) == (
        4143,
        4140,
        2102,
        None,
    )
    assert usual.skip_inbound == (Ports(4190, 4190), Ports(4191, 4191))
    assert (usual.skip_outbound, usual.subnets, usual.only_inbound) == ((), (), ())
    assert (options().families, options().mode) == ((4,), "nft")
    said = options(
        *("inboundProxyPort=5143", "outboundProxyPort=5140", "proxyUID=7", "proxyGID=8"),
        *("ignoreInboundPorts=25\\,4000-4010", "ignoreOutboundPorts=443", "skipSubnets=10.0.0.0/8"),
        *(
            "portsToRedirect=80\\,81",
            "useWaitFlag=true",
            "iptablesMode=legacy",
            "disableIPv6=false",
        ),
    )
    assert said.wanted is not None
    assert (said.wanted.inbound_port, said.wanted.outbound_port) == (5143, 5140)
    assert (said.wanted.uid, said.wanted.gid) == (7, 8)
    assert said.wanted.skip_inbound[2:] == (Ports(25, 25), Ports(4000, 4010))
    assert said.wanted.skip_outbound == (Ports(443, 443),)
    assert said.wanted.only_inbound == (80, 81)
    assert said.wanted.subnets == ((4, "10.0.0.0/8"),)
    assert (said.families, said.mode, said.wait) == ((4, 6), "legacy", True)


def test_the_agent_is_there_before_there_is_a_network() -> None:
    found = agent()
    assert found["pod"]["hostNetwork"] is True
    assert found["pod"]["tolerations"] == [{"operator": "Exists"}]
    mounts = {one["name"]: one["mountPath"] for one in found["volumeMounts"]}
    paths = {one["name"]: one.get("hostPath", {}).get("path") for one in found["pod"]["volumes"]}
    assert set(mounts) == set(paths)
    assert mounts["cni-net-dir"] == "/host" + paths["cni-net-dir"] == "/host/etc/cni/net.d"
    assert mounts["cni-bin-dir"] == "/host" + paths["cni-bin-dir"] == "/host/opt/cni/bin"
    assert mounts["linkerd-cni-run"] == paths["linkerd-cni-run"] == "/run/linkerd-cni"
    assert found["args"][:3] == ["cni", "--namespace", "linkerd-cni"]


def test_one_folder_for_programs_and_lists_is_mounted_once() -> None:
    found = agent("destCNIBinDir=/var/cni", "destCNINetDir=/var/cni")
    assert [one["mountPath"] for one in found["volumeMounts"]].count("/host/var/cni") == 1


def test_rights_follow_what_is_done() -> None:
    role = ("ClusterRole", "linkerd-cni")

    def verbs(*said: str) -> set[str]:
        return {verb for rule in rendered(*said)[role]["rules"] for verb in rule["verbs"]}

    assert verbs("repairController.enabled=false") == {"get"}
    assert verbs() == {"get", "list", "watch", "delete", "create"}
    assert "--repair" in agent()["args"]
    assert "--repair" not in agent("repairController.enabled=false")["args"]
    security = agent()["securityContext"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert (security["privileged"], security["readOnlyRootFilesystem"]) == (False, True)


def test_another_namespace_is_meant_everywhere() -> None:
    found = rendered(namespace="mesh-cni")
    assert ("Namespace", "mesh-cni") in found
    assert "linkerd-cni" not in {one["metadata"].get("namespace") for one in found.values()}
    assert agent()["args"][2] == "linkerd-cni"
    subject = found["ClusterRoleBinding", "linkerd-cni"]["subjects"][0]
    assert subject["namespace"] == "mesh-cni"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("inboundProxyPort=0", "inboundProxyPort"),
        ("ignoreInboundPorts=http", "ignoreInboundPorts"),
        ("destCNINetDir=etc", "destCNINetDir"),
        ("iptablesMode=ebpf", "iptablesMode"),
        ("image.nam=x", "image"),
        ("repairController.enabled=maybe", "repairController.enabled"),
    ],
)
def test_values_that_mean_nothing_are_named(said: str, told: str) -> None:
    with pytest.raises(ValuesError, match=told):
        rendered(said)
