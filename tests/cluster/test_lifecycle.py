"""A control plane on a real API server: installed, upgraded, pruned and uninstalled, with nothing left."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from linkerd2_py.cli.main import run
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.kubectl import Kubectl, listed
from tests.support.cluster.outside import make_namespace
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(600)
NAMESPACE = "linkerd"
Said = tuple[int, str, str]
Cli = Callable[..., Said]
Object = dict[str, Any]
# What comes and goes by itself.
NOISE = ("events", "leases.coordination.k8s.io", "events.events.k8s.io", "componentstatuses")


@pytest.fixture(scope="module")
def control_plane(own_control_plane: ControlPlane) -> ControlPlane:
    """An uninstallation takes every kind of Linkerd's away, and looks at the pods of everybody."""
    return own_control_plane


@pytest.fixture
def cli(
    control_plane: ControlPlane, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Cli:
    """Status and outputs of a command, asked about this cluster."""
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    monkeypatch.delenv("LINKERD_NAMESPACE", raising=False)

    def said(*words: str) -> Said:
        status = run(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return said


@pytest.fixture(autouse=True)
def _clean(kubectl: Kubectl) -> None:
    """Nothing of a mesh, whoever ran before. What the last test leaves goes with the API server."""
    sweep(kubectl)


def sweep(kubectl: Kubectl) -> None:
    label = "--selector=linkerd.io/control-plane-ns"
    for kinds in (
        # First: while an API has no server, no namespace goes.
        "apiservices",
        "validatingwebhookconfigurations,mutatingwebhookconfigurations",
        "clusterroles,clusterrolebindings",
        "namespaces",
    ):
        kubectl("delete", kinds, label, "--wait=true", "--timeout=120s")
    crds = kubectl("get", "crds", "-o=name").split()
    if ours := [name for name in crds if name.endswith("linkerd.io")]:
        kubectl("delete", *ours, "--wait=true", "--timeout=120s")


def everything(kubectl: Kubectl) -> set[str]:
    """All objects of all kinds, by name."""
    kinds = kubectl("api-resources", "--verbs=list", "-o=name").split()
    wanted = ",".join(kind for kind in kinds if kind not in NOISE)
    found = json.loads(kubectl("get", wanted, "-A", "-o=json"))["items"]
    return {
        f"{one['kind']} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}"
        for one in found
    }


def objects(text: str) -> list[Object]:
    return [one for one in yaml.safe_load_all(text) if one]


def apply(kubectl: Kubectl, text: str) -> None:
    """As a person does."""
    kubectl("apply", "--filename=-", stdin=text)


def secret(kubectl: Kubectl, name: str) -> dict[str, str]:
    found = json.loads(kubectl("get", "secret", name, f"-n={NAMESPACE}", "-o=json"))["data"]
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


def replicas(kubectl: Kubectl) -> str:
    path = "-o=jsonpath={.spec.replicas}"
    return kubectl("get", "deploy", "linkerd-destination", f"-n={NAMESPACE}", path)


def test_from_install_to_nothing(cli: Cli, kubectl: Kubectl) -> None:
    make_namespace(kubectl, "meshed-shop")
    before = everything(kubectl)
    status, out, err = cli("install")
    assert (status, out) == (1, "")
    assert (
        "Linkerd CRDs must be installed first. Run linkerd2-py install with the --crds flag" in err
    )
    status, out, err = cli("install", "--crds")
    assert (status, err.startswith("Next, run `linkerd2-py install |")) == (0, True)
    apply(kubectl, out)
    kubectl("wait", "--for=condition=Established", "--all", "--timeout=60s", "crds")

    status, installed, err = cli("install")
    assert (status, err) == (0, "")
    assert "PRIVATE KEY" not in installed
    apply(kubectl, installed)

    for words in (("install",), ("install", "--crds")):
        status, out, err = cli(*words)
        assert (status, out) == (1, "")
        assert (
            "ConfigMap/linkerd-config already exists. Run the command `linkerd2-py upgrade`" in err
        )

    status, out, err = cli("upgrade")
    assert (status, err) == (0, "")
    # But for the ports of the API server, which the installation had found.
    assert out == installed
    assert cli("prune") == (0, "", "")

    status, out, _ = cli("upgrade", "--controller-replicas=2", "--set", "proxy.logLevel=debug")
    apply(kubectl, out)
    assert replicas(kubectl) == "2"
    assert secret(kubectl, "linkerd-config-overrides")["linkerd-config-overrides"] != "{}\n"
    again = cli("upgrade")[1]
    assert again == out

    extra = {"name": "of-an-older-version", "namespace": NAMESPACE}
    labels = {"linkerd.io/control-plane-ns": NAMESPACE}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**extra, "labels": labels}}
    )
    status, out, _ = cli("prune")
    assert objects(out) == [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": extra}]
    kubectl("delete", "--filename=-", stdin=out)

    about = {"name": "web-0", "namespace": "meshed-shop", "labels": labels}
    containers = [{"name": "linkerd-proxy", "image": "none"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": {"containers": containers}}
    kubectl.apply(pod)
    status, out, err = cli("uninstall")
    assert (status, out) == (1, "")
    assert (
        "Please uninject the following pods before uninstalling the control-plane: meshed-shop/web-0"
        in err
    )
    kubectl("delete", "pod", "web-0", "--namespace=meshed-shop", "--force", "--grace-period=0")

    status, out, err = cli("uninstall")
    assert (status, err) == (0, "")
    kubectl("delete", "--filename=-", "--timeout=180s", stdin=out)
    left: set[str] = set()

    def nothing_is_left() -> bool:
        left.clear()
        left.update(everything(kubectl) - before)
        return not left

    eventually(nothing_is_left, deadline_s=30, what=f"gone: {left}")
    status, out, err = cli("uninstall")
    assert (status, out) == (1, "")
    assert "No resources found to uninstall" in err
    kubectl("delete", "namespace", "meshed-shop", "--wait=false")


@pytest.mark.parametrize("share", [0.25, 0.6, 0.95])
def test_an_apply_that_stops_halfway(cli: Cli, kubectl: Kubectl, share: float) -> None:
    """Whatever was applied, the next install goes on with the same anchor. It waits for its kinds itself."""
    apply(kubectl, cli("install", "--crds")[1])
    made = objects(cli("install")[1])
    kubectl("apply", "--filename=-", stdin=listed(made[: int(len(made) * share)]))
    status, out, err = cli("install")
    assert status == 0
    assert err == "An install stopped halfway here: its trust anchor and its issuer are kept.\n"
    assert out == yaml_of(made, like=out)
    apply(kubectl, out)
    assert "upgrade" in cli("install")[2]


def yaml_of(made: list[Object], *, like: str) -> str:
    """The same objects are the same text: compared as objects, for a readable difference."""
    assert objects(like) == made
    return like


def test_one_who_may_not(cli: Cli, kubectl: Kubectl) -> None:
    apply(kubectl, cli("install", "--crds")[1])
    kubectl("wait", "--for=condition=Established", "--all", "--timeout=60s", "crds")
    status, out, err = cli("install", "--as", "eve")
    assert (status, out) == (1, "")
    assert "forbidden" in err
    assert err.count("\n") == 1


def test_no_control_plane_to_upgrade(cli: Cli, kubectl: Kubectl) -> None:
    apply(kubectl, cli("install", "--crds")[1])
    kubectl("wait", "--for=condition=Established", "--all", "--timeout=60s", "crds")
    for command in ("upgrade", "prune"):
        status, out, err = cli(command, "-L", "nowhere")
        assert (status, out) == (1, "")
        assert err.count("\n") == 1
        assert "nowhere" in err
