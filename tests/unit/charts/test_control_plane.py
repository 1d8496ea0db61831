"""The control plane's objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from typer.main import get_command

from linkerd2_py import __version__
from linkerd2_py.charts.control_plane import MANIFESTS
from linkerd2_py.charts.evaluate import ValuesError
from linkerd2_py.charts.nodes import Ref
from linkerd2_py.charts.render import render, render_crds
from linkerd2_py.charts.values import CHART, Layers, defaults, values_of
from linkerd2_py.charts.written import as_yaml
from linkerd2_py.cli.commands import controller

GIVEN = as_yaml(
    [
        {
            "identityTrustAnchorsPEM": "anchors",
            "identity": {"issuer": {"tls": {"crtPEM": "crt", "keyPEM": "secret-1"}}},
            "proxyInjector": {"crtPEM": "crt", "keyPEM": "secret-2"},
            "policyValidator": {"crtPEM": "crt", "keyPEM": "secret-3"},
            "tap": {"crtPEM": "crt", "keyPEM": "secret-4"},
        }
    ]
)


def rendered(*said: str, ha: bool = False, namespace: str = "linkerd") -> list[Any]:
    return render(values_of(Layers(ha=ha, files=(GIVEN,), set=said)), namespace=namespace)


def found(objects: list[Any], kind: str, name: str) -> Any:
    (one,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return one


def pods(objects: list[Any]) -> Iterator[Any]:
    for one in objects:
        if one["kind"] == "Deployment":
            yield one["spec"]["template"]


def walk(tree: Any) -> Iterator[Any]:
    yield tree
    below: Sequence[Any] = ()
    if is_dataclass(tree):
        below = [getattr(tree, field.name) for field in fields(tree)]
    elif isinstance(tree, Mapping):
        below = list(tree.values())
    elif isinstance(tree, (list, tuple)):
        below = tree
    for one in below:
        yield from walk(one)


def test_every_value_that_is_asked_for_is_declared():
    undeclared = set()
    for node in walk(MANIFESTS):
        if isinstance(node, Ref) and node.of == "Values" and node.path:
            place: Any = defaults()
            for word in node.path.split("."):
                place = place.get(word, ...) if isinstance(place, dict) else ...
            if place is ... and not node.path.startswith(
                ("proxy.capabilities", "proxyInit.capabilities")
            ):
                undeclared.add(node.path)
    assert undeclared == set()


def test_what_is_needed_first_comes_first():
    kinds = [one["kind"] for one in rendered()]
    assert kinds[0] == "Namespace"
    assert kinds.index("ServiceAccount") < kinds.index("Deployment")
    assert kinds[-1].endswith("WebhookConfiguration")


def test_secrets_stand_in_secrets_alone():
    for one in rendered():
        if one["kind"] != "Secret":
            assert "secret-" not in as_yaml([one]), one["metadata"]["name"]


@pytest.mark.parametrize("name", ["proxyInjector", "policyValidator", "tap"])
def test_webhooks_without_a_certificate_are_refused_here(name):
    with pytest.raises(ValuesError, match=rf"{name}\.crtPEM and {name}\.keyPEM are not set"):
        rendered(f"{name}.crtPEM=,{name}.keyPEM=")


@pytest.mark.parametrize("said", [(), ("cniEnabled=true",), ("proxy.nativeSidecar=false",)])
def test_containers_of_the_control_plane_have_no_more_rights_than_they_need(said):
    for pod in pods(rendered(*said)):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
        for container in [*spec["containers"], *spec["initContainers"]]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["runAsNonRoot"] is True
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}
            if container["name"] != "linkerd-init":
                assert security["capabilities"] == {"drop": ["ALL"]}


def test_each_pod_is_meshed_once_and_selected_by_its_services():
    objects = rendered()
    services = [one for one in objects if one["kind"] == "Service"]
    selected = set()
    for pod in pods(objects):
        names = [
            one["name"] for one in [*pod["spec"]["containers"], *pod["spec"]["initContainers"]]
        ]
        assert names.count("linkerd-proxy") == 1
        ports = {
            port.get("name", port["containerPort"]): port["containerPort"]
            for one in pod["spec"]["containers"]
            for port in one.get("ports", ())
        }
        for one in services:
            if one["spec"]["selector"].items() <= pod["metadata"]["labels"].items():
                selected.add(one["metadata"]["name"])
                for port in one["spec"]["ports"]:
                    assert port["targetPort"] in {*ports, *ports.values()}
    assert selected == {one["metadata"]["name"] for one in services}


def test_a_service_says_which_of_its_ports_lead_to_an_opaque_one():
    """As `check` asks of every service; a proxy that calls it by its own address knows no other way."""
    objects = rendered()
    opaque = {
        port.get("name")
        for pod in pods(objects)
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
        if str(port["containerPort"])
        in pod["metadata"]["annotations"].get("config.linkerd.io/opaque-ports", "").split(",")
    }
    said = {
        one["metadata"]["name"]: one["metadata"]["annotations"]["config.linkerd.io/opaque-ports"]
        for one in objects
        if one["kind"] == "Service"
        and {port["targetPort"] for port in one["spec"]["ports"]} & opaque
    }
    names = ("linkerd-policy-validator", "linkerd-proxy-injector", "linkerd-tap")
    assert said == dict.fromkeys(names, "443")


def test_those_that_proxies_ask_are_there():
    names = {one["metadata"]["name"] for one in rendered() if one["kind"] == "Service"}
    assert {"linkerd-dst-headless", "linkerd-policy", "linkerd-identity-headless"} <= names


def test_only_who_asks_the_api_server_has_a_token_for_it():
    pod = found(rendered(), "Deployment", "linkerd-destination")["spec"]["template"]["spec"]
    mounts = {
        one["name"]: [mount["name"] for mount in one["volumeMounts"]] for one in pod["containers"]
    }
    assert "kube-api-access" not in mounts["proxy-api"]
    assert "kube-api-access" in mounts["destination"]


def test_high_availability():
    objects = rendered(ha=True)
    replicas = {
        one["metadata"]["name"]: one["spec"]["replicas"]
        for one in objects
        if one["kind"] == "Deployment"
    }
    assert replicas == {
        "linkerd-identity": 3,
        "linkerd-destination": 3,
        "linkerd-proxy-injector": 3,
        "linkerd-public-api": 1,
        "linkerd-tap": 3,
        "linkerd-web": 1,
    }
    budgets = {one["metadata"]["name"] for one in objects if one["kind"] == "PodDisruptionBudget"}
    assert budgets == set(replicas)
    for pod in pods(objects):
        assert "podAntiAffinity" in pod["spec"]["affinity"]
    hooks = [hook for one in objects for hook in one.get("webhooks", ())]
    assert {hook["failurePolicy"] for hook in hooks} == {"Fail"}


def test_versions_are_this_one():
    for chart in (CHART, CHART.parent / "linkerd2-py-crds"):
        said = re.findall(
            r"^(?:appVersion|version): (.*)$", (chart / "Chart.yaml").read_text(), re.MULTILINE
        )
        assert said == [__version__, __version__]


def test_kinds_are_those_that_the_control_plane_follows():
    names = {one["metadata"]["name"] for one in render_crds()}
    assert {"servers.policy.linkerd.io", "serviceprofiles.linkerd.io"} <= names


def test_no_role_lets_anybody_do_everything():
    for one in rendered():
        for rule in one.get("rules", ()):
            assert "*" not in {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}
            assert "secrets" not in rule["resources"]


@pytest.mark.parametrize(
    "said", [(), ("cniEnabled=true,disableIPv6=false",), ("prometheus.enabled=true",)]
)
def test_processes_take_the_arguments_of_their_manifests(said):
    group = get_command(controller.app)
    started = []
    for pod in pods(rendered(*said)):
        for container in pod["spec"]["containers"]:
            if container["image"].startswith("linkerd2-py-controller:"):
                first, name, *words = container["args"]
                assert first == "controller"
                command = group.get_command(None, name)
                # Unknown flags, and values of the wrong form, end it.
                taken = command.make_context(name, words).params
                asked_at = taken.get("metrics_addr") or taken["admin_addr"]
                assert asked_at == f":{container['readinessProbe']['httpGet']['port']}"
                started.append(name)
    assert started == [
        *("identity", "proxy-api", "destination", "public-api", "tap"),
        *("web", "injector"),
    ]


@pytest.mark.parametrize(
    ("said", "watches"),
    [
        ((), True),
        (("dashboard.restrictPrivileges=true",), False),
        (("tap.enabled=false",), False),
    ],
)
def test_the_dashboard_watches_calls_unless_it_is_restricted(
    said: tuple[str, ...], watches: bool
) -> None:
    objects = rendered(*said)
    (container,) = (
        one
        for one in found(objects, "Deployment", "linkerd-web")["spec"]["template"]["spec"][
            "containers"
        ]
        if one["name"] == "web"
    )
    assert ("--live-calls=true" in container["args"]) is watches
    # Nor has one that is restricted anything to ask an API server with.
    mounts = [one["name"] for one in container["volumeMounts"] or ()]
    assert mounts == (["kube-api-access"] if watches else [])
    bound = [
        (one["metadata"]["name"], one["roleRef"]["name"])
        for one in objects
        if any(who["name"] == "linkerd-web" for who in one.get("subjects", ()))
    ]
    assert bound == (
        [("linkerd-linkerd-web-admin", "linkerd-linkerd-tap-admin")] if watches else []
    )
