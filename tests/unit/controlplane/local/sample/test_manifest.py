"""The sample in a cluster is the sample of `local up`: the same services, ports, replicas and callers."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from importlib.resources import files
from typing import Any

import pytest
import yaml

from linkerd2_py.cli.main import run
from linkerd2_py.controlplane.local import sample
from linkerd2_py.controlplane.local.sample.manifest import PROGRAMS, manifest

Objects = dict[str, dict[str, Any]]


def objects(**given: str) -> dict[str, Objects]:
    """By kind and name."""
    words = {"namespace": "emojivoto", "image": "controller:1", "pull_policy": "Never", **given}
    found: dict[str, Objects] = defaultdict(dict)
    for one in yaml.safe_load_all(manifest(**words)):
        found[one["kind"]][one["metadata"]["name"]] = one
    return found


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(only)


def variables(deployment: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container(deployment)["env"]}


def test_the_same_mesh_as_on_one_machine() -> None:
    local = yaml.safe_load((files(sample) / "mesh.yaml").read_text())
    found = objects()
    assert set(found["Deployment"]) == set(local["workloads"]) == set(PROGRAMS)
    for name, workload in local["workloads"].items():
        deployment = found["Deployment"][name]
        assert deployment["spec"]["replicas"] == workload.get("replicas", 1), name
        called = {one.removesuffix("_ADDR") for one in variables(deployment) if "ADDR" in one}
        wanted = {one.upper().replace("-", "_") for one in workload.get("outbound", [])}
        # Those that call nobody must say so in neither.
        assert called == wanted, name
    assert set(found["Service"]) == set(local["services"])
    for name, service in local["services"].items():
        spec = found["Service"][name]["spec"]
        (port,) = service.get("ports", [service])
        assert spec["selector"] == {"app": service["workload"]}
        assert [(p["port"], p["targetPort"]) for p in spec["ports"]] == [
            (port["port"], port["targetPort"])
        ]
        opaque = "config.linkerd.io/opaque-ports" in found["Service"][name]["metadata"].get(
            "annotations", {}
        )
        assert opaque == service.get("opaque", False), name


def test_whoever_is_called_is_called_at_a_port_of_its_service() -> None:
    found = objects()
    for deployment in found["Deployment"].values():
        for name, address in variables(deployment).items():
            if name.endswith("_ADDR"):
                service, _, port = address.partition(":")
                assert name == f"{service.upper().replace('-', '_')}_ADDR"
                (served,) = found["Service"][service]["spec"]["ports"]
                assert served["port"] == int(port)
                assert served["name"]


def test_each_workload_is_somebody_and_may_do_nothing() -> None:
    found = objects()
    for name, deployment in found["Deployment"].items():
        template = deployment["spec"]["template"]
        assert template["spec"]["serviceAccountName"] == name
        assert name in found["ServiceAccount"]
        assert template["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
        assert container(deployment)["args"] == ["sample", "run", name]
        security = container(deployment)["securityContext"]
        assert security["runAsNonRoot"] is security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        ports = {one["name"] for one in container(deployment)["ports"]}
        ((_, probe),) = container(deployment)["readinessProbe"].items()
        assert probe["port"] in ports


def test_namespace_and_image_are_what_was_asked_for() -> None:
    found = objects(namespace="vote-2", image="r.example:5000/x/controller@sha256:ab")
    assert set(found["Namespace"]) == {"vote-2"}
    others = [one for kind in found for one in found[kind].values() if kind != "Namespace"]
    assert {one["metadata"]["namespace"] for one in others} == {"vote-2"}
    images = {container(one)["image"] for one in found["Deployment"].values()}
    assert images == {"r.example:5000/x/controller@sha256:ab"}


@pytest.mark.parametrize(
    "given",
    [
        {"namespace": "a: b"},
        {"namespace": "x" * 64},
        {"namespace": "\x1b[31m"},
        {"namespace": ""},
        {"image": "a\nkind: Pod"},
        {"image": "${namespace} #"},
        {"pull_policy": "Sometimes"},
    ],
)
def test_what_would_be_another_manifest_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is not"):
        objects(**given)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sample", "emojivoto", "--registry", "r.example/", "-n", "shop"]) == 0
    printed = capsys.readouterr().out
    assert "r.example/linkerd2-py-controller:" in printed
    assert {one["metadata"].get("namespace", "shop") for one in yaml.safe_load_all(printed)} == {
        "shop"
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["emojivoto", "-n", "A"], "'A' is not a name of a namespace"),
        (["emojivoto", "--image", "a b"], "'a b' is not a reference to an image"),
        (["run", "nobody"], "'nobody' is not a program of the sample: use chat, emoji"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sample", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"linkerd2-py: {told}")
    assert captured.err.count("\n") == 1


def test_a_program_is_run_as_itself() -> None:
    """`web` needs to be told where the others are, says so at once, and so was it that ran."""
    words = [sys.executable, "-m", "linkerd2_py.cli.main", "sample", "run", "web"]
    done = subprocess.run(words, capture_output=True, text=True, env={}, check=False)
    assert done.returncode == 1
    assert done.stderr == "EMOJI_SVC_ADDR: not set; it is the host:port of emoji-svc\n"
