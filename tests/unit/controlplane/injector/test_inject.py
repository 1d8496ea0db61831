"""What is added to a pod or service beside the proxy itself."""

from __future__ import annotations

from typing import Any

import pytest

from linkerd2_py.charts.values import defaults, laid_over
from linkerd2_py.controlplane.injector.inject import Injection, Mesh, Owner, admit
from linkerd2_py.controlplane.policy.admission.fields import RefusedError

CONFIG = "config.linkerd.io/"
ENABLED = {"linkerd.io/inject": "enabled"}
WEB = Owner("deployment", "web")


def mesh(**values: Any) -> Mesh:
    made = laid_over(defaults(), {"identityTrustAnchorsPEM": "ANCHOR"})
    return Mesh(laid_over(made, values), namespace="mesh", created_by="test")


def pod(*containers: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"annotations": annotations} if annotations else {},
        "spec": {"containers": list(containers) or [{"name": "app"}]},
    }


def admitted(
    found: dict[str, Any],
    annotations: dict[str, str] | None = None,
    *,
    owner: Owner = WEB,
    **values: Any,
) -> Injection:
    said = ENABLED if annotations is None else annotations
    return admit(found, mesh(**values), namespace="shop", annotations=said, owner=owner)


def proxy(injection: Injection) -> dict[str, Any]:
    spec = injection.found["spec"]
    both = [*spec["initContainers"], *spec["containers"]]
    found: dict[str, Any] = next(one for one in both if one["name"] == "linkerd-proxy")
    return found


@pytest.mark.parametrize(
    ("owner", "label"),
    [
        (WEB, {"linkerd.io/proxy-deployment": "web"}),
        (Owner("cronjob", "nightly"), {"linkerd.io/proxy-cronjob": "nightly"}),
        (Owner("pod", "alone"), {}),
        (Owner("rollout", "other"), {}),
    ],
)
def test_labels_say_whose_pod_it_is(owner: Owner, label: dict[str, str]) -> None:
    labels = admitted(pod(), owner=owner).found["metadata"]["labels"]
    assert labels == {
        "linkerd.io/control-plane-ns": "mesh",
        "linkerd.io/workload-ns": "shop",
        **label,
    }


def test_pods_say_themselves_what_their_namespace_said() -> None:
    said = {
        **ENABLED,
        f"{CONFIG}proxy-log-level": "debug",
        f"{CONFIG}proxy-uid": "1",
        f"{CONFIG}unknown": "x",
        "other": "y",
    }
    injection = admitted(pod(**{f"{CONFIG}proxy-uid": "3000"}), said)
    annotations = injection.found["metadata"]["annotations"]
    assert annotations[f"{CONFIG}proxy-log-level"] == "debug"
    assert annotations[f"{CONFIG}proxy-uid"] == "3000"
    assert f"{CONFIG}unknown" not in annotations
    assert "other" not in annotations
    assert annotations["linkerd.io/created-by"] == "test"
    assert proxy(injection)["securityContext"]["runAsUser"] == 3000


def test_ports_that_the_workload_is_called_at() -> None:
    containers = (
        {
            "name": "a",
            "ports": [{"containerPort": 9000, "name": "web"}, {"containerPort": 80}],
            "readinessProbe": {"httpGet": {"port": "web"}},
            "livenessProbe": {"httpGet": {"port": 81}},
        },
        {"name": "b", "ports": [{"containerPort": 3306, "name": "sql"}]},
    )
    injection = admitted(pod(*containers))
    env = {one["name"]: one.get("value") for one in proxy(injection)["env"]}
    assert env["LINKERD2_PROXY_INBOUND_PORTS"] == "3306,80,81,9000"
    assert injection.found["metadata"]["annotations"][f"{CONFIG}opaque-ports"] == "3306"
    said = pod(*containers, **{f"{CONFIG}opaque-ports": "sql,9000"})
    env = {one["name"]: one.get("value") for one in proxy(admitted(said))["env"]}
    assert env["LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"] == "3306,9000"


def test_the_proxy_is_as_humble_as_the_first_container() -> None:
    humble = {
        "name": "app",
        "securityContext": {
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL", "NET_RAW"]}
        },
        "volumeMounts": [
            {
                "name": "token",
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                "readOnly": True,
            }
        ],
    }
    injection = admitted(pod(humble))
    assert proxy(injection)["securityContext"]["capabilities"]["drop"] == ["ALL", "NET_RAW"]
    init = injection.found["spec"]["initContainers"][0]
    assert init["securityContext"]["capabilities"] == {
        "add": ["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE"],
        "drop": ["ALL"],
    }
    for container in (init, proxy(injection)):
        assert humble["volumeMounts"][0] in container["volumeMounts"]


def test_others_keep_their_places() -> None:
    found = pod({"name": "app"})
    found["spec"] |= {"initContainers": [{"name": "first"}], "volumes": [{"name": "own"}]}
    native = admitted(found).found["spec"]
    assert [one["name"] for one in native["initContainers"]] == [
        *("linkerd-init", "linkerd-proxy", "first"),
    ]
    assert native["volumes"][0] == {"name": "own"}
    classic = admitted(found, proxy={"nativeSidecar": False}).found["spec"]
    assert [one["name"] for one in classic["initContainers"]] == ["first", "linkerd-init"]
    assert [one["name"] for one in classic["containers"]] == ["linkerd-proxy", "app"]
    with_plugin = admitted(found, cniEnabled=True).found["spec"]
    assert [one["name"] for one in with_plugin["initContainers"]] == [
        *("linkerd-network-validator", "linkerd-proxy", "first"),
    ]


@pytest.mark.parametrize(
    ("ports", "opaque"),
    [
        ([{"port": 3306}], "3306"),
        ([{"port": 3306, "targetPort": 80}], None),
        ([{"port": 80, "targetPort": 3306}, {"port": 25}], "80,25"),
        ([{"port": 80, "targetPort": "sql"}], None),
        ([{"port": 3306, "targetPort": 0}], "3306"),
        ([], None),
    ],
)
def test_services_with_default_opaque_ports(
    ports: list[dict[str, Any]], opaque: str | None
) -> None:
    service = {"kind": "Service", "metadata": {"name": "db"}, "spec": {"ports": ports}}
    injection = admitted(service)
    annotations = injection.found["metadata"].get("annotations", {})
    assert annotations.get(f"{CONFIG}opaque-ports") == opaque
    assert bool(injection.patch) == (opaque is not None)


@pytest.mark.parametrize(
    ("annotations", "values", "complaint"),
    [
        ({f"{CONFIG}close-wait-timeout": "1m"}, {}, "proxyInit.runAsRoot must be set"),
        ({f"{CONFIG}enable-debug-sidecar": "true"}, {}, "there is no image for it"),
        ({}, {"clusterNetworks": "10.0.0.0/99"}, "cannot parse destination get networks"),
        ({}, {"identityTrustAnchorsPEM": " "}, "Please provide the identity trust anchors"),
        ({}, {"proxy": {"uid": None, "image": 7}}, "the values of the control plane: "),
    ],
)
def test_what_nothing_sound_can_come_of(
    annotations: dict[str, str], values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RefusedError, match=complaint):
        admitted(pod(**annotations), **values)
