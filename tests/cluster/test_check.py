"""`check` of a cluster, against a real API server: what is missing is said, and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linkerd2_py import __version__
from linkerd2_py.cli.checks.cluster import reach
from linkerd2_py.cli.checks.cluster.config import INJECTOR_CONFIG
from linkerd2_py.cli.checks.cluster.data_plane import OPAQUE_PORTS
from linkerd2_py.cli.checks.cluster.reach import own_kinds
from linkerd2_py.cli.main import run
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import Controller
from tests.support.cluster.crds import install_crds
from tests.support.cluster.installed import Installation, encoded, signer
from tests.support.cluster.outside import make_namespace, own_address, run_as_pod, service_of
from tests.support.ports import free_port
from tests.support.wait import eventually

from .conftest import Kubectl

pytestmark = pytest.mark.timeout(300)
INSTALLATION = "checked"
APPLICATION = "checked-app"
KINDS = "control plane CustomResourceDefinitions exist"
Said = tuple[int, str, str]
Cli = Callable[..., Said]
REACHED = """\
kubernetes-api
--------------
√ can initialize the client
√ can query the Kubernetes API

kubernetes-version
------------------
√ is running the minimum Kubernetes API version

gateway-api-crd
---------------
√ Gateway API CRDs are installed

"""
INSTALLED = f"""\
{REACHED}linkerd-existence
-----------------
√ 'linkerd-config' config map exists
√ control plane replica sets are ready
√ no unschedulable pods
√ control plane pods are ready
√ cluster networks contains all pods
√ cluster networks contains all services

linkerd-config
--------------
√ control plane Namespace exists
√ control plane ClusterRoles exist
√ control plane ClusterRoleBindings exist
√ control plane ServiceAccounts exist
√ control plane CustomResourceDefinitions exist
√ control plane MutatingWebhookConfigurations exist
√ control plane ValidatingWebhookConfigurations exist
√ proxy-init container runs as root user if docker container runtime is used

linkerd-identity
----------------
√ certificate config is valid
√ trust anchors are using supported crypto algorithm
√ trust anchors are within their validity period
√ trust anchors are valid for at least 60 days
√ issuer cert is using supported crypto algorithm
√ issuer cert is within its validity period
√ issuer cert is valid for at least 60 days
√ issuer cert is issued by the trust anchor

linkerd-webhooks-and-apisvc-tls
-------------------------------
√ proxy-injector webhook has valid cert
√ proxy-injector cert is valid for at least 60 days
√ sp-validator webhook has valid cert
√ sp-validator cert is valid for at least 60 days
√ policy-validator webhook has valid cert
√ policy-validator cert is valid for at least 60 days

"""
OF_PROXIES = f"""\
{INSTALLED}linkerd-identity-data-plane
---------------------------
√ data plane proxies certificate match CA

linkerd-control-plane-proxy
---------------------------
√ control plane proxies are healthy
√ control plane proxies and cli versions match

linkerd-data-plane
------------------
√ data plane namespace exists
√ data plane proxies are ready
√ data plane and cli versions match
√ data plane pod labels are configured correctly
√ data plane service labels are configured correctly
√ data plane service annotations are configured correctly

linkerd-opaque-ports-definition
-------------------------------
√ opaque ports are properly annotated

Status check results are √
"""
PRE = f"""\
{REACHED}pre-kubernetes-setup
--------------------
√ control plane namespace does not already exist
√ can create non-namespaced resources
√ can create ServiceAccounts
√ can create Roles
√ can create RoleBindings
√ can create Services
√ can create Deployments
√ can create ConfigMaps
√ can create Secrets
√ can read Secrets
√ no clock skew detected

Status check results are √
"""


@pytest.fixture
def cli(
    control_plane: ControlPlane,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Cli:
    """Status and outputs of a check of the cluster."""
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    # Extensions, of which there is none here.
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("LINKERD2_PY_API_ADDR", "LINKERD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)

    def check(*words: str) -> Said:
        status = run(["check", "--wait=0s", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return check


@pytest.fixture
def kinds(kubectl: Kubectl) -> Iterator[Kubectl]:
    """Those of a mesh are known, and will be, whatever the test does to them."""
    install_crds(kubectl)
    yield kubectl
    install_crds(kubectl)


@pytest.fixture(scope="module")
def installation(control_plane: ControlPlane) -> Iterator[Installation]:
    kubectl = Kubectl(control_plane.kubeconfig)
    install_crds(kubectl)
    make_namespace(kubectl, INSTALLATION)
    make_namespace(kubectl, APPLICATION)
    made = Installation(kubectl, INSTALLATION)
    yield made
    made.remove_all(APPLICATION)


@pytest.fixture
def installed(installation: Installation, kubectl: Kubectl) -> Installation:
    """All of it is there, and well, whatever the last test has done to it."""
    kubectl(
        "delete",
        "pods,services",
        "--all",
        f"--namespace={APPLICATION}",
        "--grace-period=0",
        "--force",
    )
    installation.apply()
    return installation


@pytest.fixture
def public_api(
    installed: Installation,
    kubectl: Kubectl,
    tmp_path_factory: pytest.TempPathFactory,
    control_plane: ControlPlane,
) -> Iterator[None]:
    ip, port = own_address(), free_port()
    words = ("--kubeconfig", control_plane.kubeconfig, "--addr", f"{ip}:{port}")
    folder = tmp_path_factory.mktemp("public-api")
    with Controller("public-api", *words, folder=folder) as running:
        running.wait_ready()
        run_as_pod(kubectl, "public-api", namespace=INSTALLATION, ip=ip)
        kubectl.apply(service_of("public-api", namespace=INSTALLATION, port=8085, at=port))
        path = f"/api/v1/namespaces/{INSTALLATION}/services/linkerd-public-api:8085/proxy"
        version = ("get", f"--raw={path}/api/v1/version")
        eventually(lambda: kubectl.try_(*version).returncode == 0, deadline_s=60)
        yield
    kubectl("delete", "service", "linkerd-public-api", f"--namespace={INSTALLATION}")


def results(out: str) -> dict[str, dict[str, Any]]:
    return {
        one["description"]: one
        for category in json.loads(out)["categories"]
        for one in category["checks"]
    }


@pytest.mark.usefixtures("kinds")
def test_what_a_mesh_is_described_by(cli: Cli) -> None:
    expected = f"{REACHED}linkerd-crd\n-----------\n√ {KINDS}\n\nStatus check results are √\n"
    assert cli("--crds") == (0, expected, "")
    assert cli("--crds", "-o", "short") == (0, "Status check results are √\n", "")


def test_a_kind_that_is_missing_is_named_with_its_versions(cli: Cli, kinds: Kubectl) -> None:
    kinds("delete", "crd", "meshtlsauthentications.policy.linkerd.io")
    missing = "meshtlsauthentications.policy.linkerd.io/v1alpha1"
    eventually(lambda: missing in cli("--crds")[1])
    status, out, _ = cli("--crds", "-o", "json")
    assert status == 1
    assert results(out)[KINDS] == {
        "description": KINDS,
        "result": "error",
        "error": f"not served: {missing}",
        "hint": "`linkerd2-py install --crds | kubectl apply --server-side -f -`, of this version",
    }


def test_gateway_api_may_be_missing(cli: Cli, kinds: Kubectl) -> None:
    kinds("delete", "crd", "grpcroutes.gateway.networking.k8s.io")
    lines = (
        "‼ Gateway API CRDs are installed\n    not served: grpcroutes.gateway.networking.k8s.io/v1"
    )
    eventually(lambda: lines in cli("--crds")[1])
    assert cli("--crds")[0] == 0


@pytest.mark.usefixtures("kinds")
def test_a_version_that_is_too_old(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "MINIMUM", (9, 1))
    status, out, _ = cli("--crds")
    assert status == 1
    assert (
        "× is running the minimum Kubernetes API version\n    Kubernetes is on version v1." in out
    )
    assert ", but 9.1 or more recent is needed\n" in out


def test_all_that_is_asked_before_an_installation(cli: Cli) -> None:
    assert cli("--pre", "-L", "not-yet") == (0, PRE, "")


def test_one_who_may_not_install_is_told_what_is_missing(cli: Cli) -> None:
    status, out, _ = cli("--pre", "-L", "not-yet", "--as", "eve")
    assert status == 1
    assert (
        "× can create non-namespaced resources\n    missing permissions:\n"
        "    * not authorized to create namespaces\n"
        "    * not authorized to create clusterroles.rbac.authorization.k8s.io\n"
    ) in out
    assert "× can create Deployments\n    not authorized to create deployments.apps\n" in out
    assert "× can read Secrets\n    not authorized to get secrets\n" in out
    # Nodes cannot be listed either, which stops nobody.
    assert "‼ no clock skew detected\n" in out


@pytest.mark.usefixtures("installed")
def test_a_namespace_that_is_there_before_an_installation(cli: Cli) -> None:
    _, out, _ = cli("--pre", "-L", INSTALLATION, "--linkerd-cni-enabled", "--cni-namespace", "no")
    assert "× control plane namespace does not already exist\n" in out
    assert "https://linkerd.io/2/checks/#pre-ns for hints\n" in out
    missing = "linkerd-cni-config in the namespace 'no'"
    assert f"× cni plugin ConfigMap exists\n    missing ConfigMap: {missing}\n" in out


@pytest.mark.usefixtures("installed")
def test_a_control_plane_that_is_well(cli: Cli) -> None:
    status, out, err = cli("-L", INSTALLATION)
    assert (status, err) == (0, "")
    assert out == (
        f"{INSTALLED}control-plane-version\n---------------------\n"
        "√ can retrieve the control plane version\n√ control plane and cli versions match\n\n"
        "linkerd-control-plane-proxy\n---------------------------\n"
        "√ control plane proxies are healthy\n√ control plane proxies and cli versions match\n\n"
        "linkerd-extension-checks\n------------------------\n"
        "√ namespace configuration for extensions\n\nStatus check results are √\n"
    )


def test_a_data_plane_that_is_well(cli: Cli, installed: Installation) -> None:
    installed.pod("web-0", namespace=APPLICATION, anchors=installed.anchor.pem.decode())
    assert cli("--proxy", "-L", INSTALLATION, "-n", APPLICATION) == (0, OF_PROXIES, "")


@pytest.mark.usefixtures("public_api")
def test_what_a_control_plane_says_of_itself(cli: Cli, installed: Installation) -> None:
    # That nobody answers proxies is one of its findings.
    _, out, _ = cli("-L", INSTALLATION)
    assert (
        "linkerd-api\n-----------\n√ can query the control plane API\n√ control plane checks itself\n"
        "√ control plane can read the mesh\n"
    ) in out
    assert installed.namespace == INSTALLATION


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            lambda made: made.configure(linkerdVersion="0.0.1"),
            "‼ control plane and cli versions match\n    control plane running 0.0.1 but cli running",
        ),
        (
            lambda made: made.configure(linkerdVersion=None),
            "× can retrieve the control plane version\n    its configuration does not say",
        ),
        (
            lambda made: made.configure(clusterNetworks="198.51.100.0/24"),
            "× cluster networks contains all pods\n    the Linkerd clusterNetworks do not include:\n",
        ),
        (
            lambda made: made.configure(clusterNetworks="10.0.0.0"),
            "× cluster networks contains all services\n",
        ),
        (
            lambda made: made.configure(clusterNetworks="here"),
            "× cluster networks contains all pods\n    clusterNetworks: 'here' does not appear",
        ),
        (
            lambda made: made.configure(highAvailability=True),
            (
                "‼ multiple replicas of control plane pods\n    not enough replicas available for "
                "linkerd-destination, linkerd-identity, linkerd-proxy-injector\n"
            ),
        ),
        (
            lambda made: made.configure(cniEnabled=True),
            "× cni plugin ConfigMap exists\n    missing ConfigMap: linkerd-cni-config in the namesp",
        ),
        (
            lambda made: made.node(containerRuntimeVersion="docker://20"),
            "× proxy-init container runs as root user if docker container runtime is used\n",
        ),
        (
            lambda made: made.issue(signer("issuer", by=made.anchor), **{"key.pem": ""}),
            "× certificate config is valid\n    key key.pem needs to exist in secret linkerd-id",
        ),
        (
            lambda made: made.issue(
                signer("issuer", by=made.anchor), **{"key.pem": encoded(signer("x").key_pem)}
            ),
            "× certificate config is valid\n    the key is not the one of the issuer certificate",
        ),
        (
            lambda made: made.configure(identity={"issuer": {"scheme": "kubernetes.io/tls"}}),
            "× certificate config is valid\n    key tls.crt, tls.key needs to exist in secret",
        ),
        (
            lambda made: made.issue(signer("issuer", by=signer("another"))),
            "× issuer cert is issued by the trust anchor\n    no trust anchor issued",
        ),
        (
            lambda made: made.issue(signer("issuer", by=made.anchor, lifetime_s=59 * 86400)),
            "‼ issuer cert is valid for at least 60 days\n    issuer certificate will expire on 20",
        ),
        (
            lambda made: made.issue(signer("issuer", by=made.anchor, lifetime_s=30)),
            "× issuer cert is within its validity period\n    issuer certificate is not valid any",
        ),
        (
            lambda made: made.trust(signer("anchor", lifetime_s=50 * 86400)),
            "‼ trust anchors are valid for at least 60 days\n    Anchors expiring soon: ",
        ),
        (
            lambda made: made.register("proxy-injector", lifetime_s=50 * 86400),
            "‼ proxy-injector cert is valid for at least 60 days\n    certificate will expire on 20",
        ),
        (
            lambda made: made.register("policy-validator", lifetime_s=30),
            "× sp-validator webhook has valid cert\n    certificate is not valid anymore.",
        ),
        (
            lambda made: made.register("proxy-injector", host="other.svc"),
            "× proxy-injector webhook has valid cert\n    the certificate is not for linkerd-proxy",
        ),
        (
            lambda made: made.pod("identity", ready=False),
            (
                "× control plane pods are ready\n    no pod is ready:\n"
                "    * pod/linkerd-identity-7d4-x container linkerd-proxy is not ready\n"
            ),
        ),
        (
            lambda made: made.remove("pod", "linkerd-destination-7d4-x"),
            '× control plane pods are ready\n    No running pods for "linkerd-destination"\n',
        ),
        (
            lambda made: made.remove("serviceaccount", "linkerd-identity"),
            "× control plane ServiceAccounts exist\n    missing ServiceAccounts: linkerd-identity\n",
        ),
        (
            lambda made: made.remove("mutatingwebhookconfiguration", INJECTOR_CONFIG),
            "× control plane MutatingWebhookConfigurations exist\n    missing MutatingWebhookConfig",
        ),
        (
            lambda made: made.remove("configmap", "linkerd-config"),
            (
                "× 'linkerd-config' config map exists\n    there is no ConfigMap \"linkerd-config\"\n"
                "    see https://linkerd.io/2/checks/#l5d-existence-linkerd-config for hints\n"
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_control_plane(
    cli: Cli, installed: Installation, spoil: Callable[[Installation], None], expected: str
) -> None:
    spoil(installed)
    _, out, err = cli("-L", INSTALLATION)
    assert err == ""
    assert expected in out


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            {"image": "registry/proxy:0.0.1"},
            (
                f"‼ data plane and cli versions match\n    proxies of other versions than {__version__}:\n"
                "    * checked-app/web-0 (0.0.1)\n"
            ),
        ),
        (
            {"ready": False},
            (
                "× data plane proxies are ready\n    1 of 1 pods are not ready:\n"
                '    * container "linkerd-proxy" in pod "checked-app/web-0" is not ready\n'
            ),
        ),
        (
            {"anchors": "old"},
            (
                "‼ data plane proxies certificate match CA\n    Some pods do not have the current trust "
                "bundle and must be restarted:\n    * checked-app/web-0\n"
            ),
        ),
        (
            {"metadata": {"labels": {"linkerd.io/inject": "enabled"}}},
            (
                "‼ data plane pod labels are configured correctly\n    Some labels on pods should be "
                "annotations:\n    * checked-app/web-0: linkerd.io/inject\n"
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_data_plane(
    cli: Cli, installed: Installation, spoil: dict[str, Any], expected: str
) -> None:
    said = {"anchors": installed.anchor.pem.decode(), **spoil}
    installed.pod("web-0", namespace=APPLICATION, **said)
    _, out, err = cli("--proxy", "-L", INSTALLATION, "-n", APPLICATION)
    assert err == ""
    assert expected in out


def test_a_data_plane_that_nobody_has(cli: Cli, installed: Installation, kubectl: Kubectl) -> None:
    status, out, _ = cli("--proxy", "-L", installed.namespace, "-n", "nowhere-at-all")
    assert (status, 'The "nowhere-at-all" namespace does not exist' in out) == (1, True)
    kubectl.try_("create", "namespace", "nobody-meshed")
    status, out, _ = cli("--proxy", "-L", installed.namespace, "-n", "nobody-meshed")
    assert status == 1
    assert 'no "linkerd-proxy" containers found in the "nobody-meshed" namespace' in out


def test_ports_that_a_service_and_its_pods_call_differently(
    cli: Cli, installed: Installation, kubectl: Kubectl
) -> None:
    installed.pod(
        "db-0",
        namespace=APPLICATION,
        metadata={"labels": {"app": "db"}, "annotations": {OPAQUE_PORTS: "3306"}},
        ip="192.0.2.8",
    )
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "db", "namespace": APPLICATION},
            "spec": {"selector": {"app": "db"}, "ports": [{"port": 33, "targetPort": "db"}]},
        }
    )
    expected = (
        "‼ opaque ports are properly annotated\n    pods and services do not say the same:\n"
        "    * service checked-app/db targets the opaque port 3306 through 33; add 33 to its "
        f"{OPAQUE_PORTS} annotation\n"
    )
    words = ("--proxy", "-L", INSTALLATION, "-n", APPLICATION)
    # Who is behind it is written by the cluster's controller.
    eventually(lambda: expected in cli(*words)[1], deadline_s=60)


def test_extensions(cli: Cli, installed: Installation, kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.apply(
        *(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"linkerd.io/extension": extension}},
            }
            for name, extension in (("a-own", "own"), ("a-lost", "lost"), ("b-own", "own"))
        )
    )
    own = tmp_path / "linkerd-own"
    said = {
        "success": False,
        "categories": [
            {
                "categoryName": "linkerd-own",
                "checks": [
                    {"description": "it is there", "result": "success"},
                    {
                        "description": "a\x1b[2J",
                        "result": "error",
                        "error": "no",
                        "hint": "https://x/",
                    },
                ],
            }
        ],
    }
    (tmp_path / "said").write_text(json.dumps(said))
    own.write_text(f'#!/bin/sh\nprintf "%s " "$@" > {tmp_path}/words; /bin/cat {tmp_path}/said')
    own.chmod(0o755)
    status, out, _ = cli("-L", installed.namespace)
    assert status == 1
    assert out.endswith(
        "‼ namespace configuration for extensions\n"
        "    more than one namespace is said to be of an extension:\n"
        '    * label "linkerd.io/extension=own" is on a-own, b-own\n'
        "    see https://linkerd.io/2/checks/#l5d-extension-namespaces for hints\n\n"
        "linkerd-own\n-----------\n√ it is there\n× a\\x1b[2J\n    no\n    see https://x/ for hints\n\n"
        "linkerd-lost\n------------\n‼ Linkerd extension command linkerd-lost exists\n"
        "    there is no program linkerd-lost on the PATH\n"
        "    see https://linkerd.io/2/checks/#extensions for hints\n\n"
        "Status check results are ×\n"
    )
    assert (tmp_path / "words").read_text().split() == [
        "check",
        f"--linkerd-namespace={INSTALLATION}",
        "--wait=0s",
        "--output=json",
    ]
    kubectl("delete", "namespace", "a-own", "a-lost", "b-own", "--wait=false")


@pytest.mark.usefixtures("kinds")
def test_a_namespace_that_does_not_exist(cli: Cli) -> None:
    status, out, _ = cli("-L", "nowhere")
    assert status == 1
    assert "× 'linkerd-config' config map exists\n    there is no ConfigMap " in out
    # Nobody is left to ask further.
    assert "control-plane-version" not in out


def test_an_api_server_that_is_away(cli: Cli, control_plane: ControlPlane, tmp_path: Path) -> None:
    text = control_plane.kubeconfig.read_text()
    away = tmp_path / "away"
    away.write_text(text.replace(control_plane.server, f"https://127.0.0.1:{free_port()}"))
    status, out, _ = cli("--kubeconfig", str(away))
    assert status == 1
    assert "× can query the Kubernetes API\n    cannot reach the API server: " in out
    assert out.endswith("\n\nStatus check results are ×\n")
    assert "kubernetes-version" not in out


def test_one_who_may_not_ask(cli: Cli) -> None:
    status, out, _ = cli("--as", "eve", "-L", "default")
    assert status == 1
    assert 'configmaps "linkerd-config" is forbidden: User "eve"' in out


def test_a_kubeconfig_that_is_none(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("[]")
    status, out, err = cli("--kubeconfig", str(tmp_path / "none"))
    assert (status, err) == (1, "")
    assert out.startswith("kubernetes-api\n--------------\n× can initialize the client\n    /")
    assert (
        "none: it is not a kubeconfig\n    see https://linkerd.io/2/checks/#k8s-api for hi" in out
    )


def test_the_kinds_are_those_of_the_chart() -> None:
    found = own_kinds()
    assert found["policy.linkerd.io/v1beta3"] >= {"servers"}
    assert found["linkerd.io/v1alpha2"] == {"serviceprofiles"}
    assert "externalworkloads" in found["workload.linkerd.io/v1beta1"]
