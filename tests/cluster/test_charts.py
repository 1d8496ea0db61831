"""The charts on a real API server of their own: it takes their objects, Helm installs and changes them,
and each account may do what its component does, and little else. Nothing runs them here: pods are
pending.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.render import CRDS, render, render_crds
from linkerd2_py.charts.values import CHART, Layers, values_of
from linkerd2_py.charts.written import as_yaml
from linkerd2_py.controlplane.injector.certificates import make_certificate
from linkerd2_py.controlplane.sources.kubernetes.source import DIRECT, WORKLOADS
from tests.support.certificates import Signer
from tests.support.cluster import programs
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import START_S, Controller
from tests.support.cluster.kubectl import Kubectl
from tests.support.helm import Helm
from tests.support.prometheus import needs_prometheus, prometheus
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(300)

NAMESPACE = "linkerd"
RELEASE = "linkerd2-py-control-plane"
ACCOUNTS = (
    "linkerd-identity",
    "linkerd-destination",
    "linkerd-public-api",
    "linkerd-tap",
    "linkerd-web",
    "linkerd-proxy-injector",
    "linkerd-prometheus",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One without anything of a mesh in it."""
    if not programs.built() or not programs.TOOLS.built():
        pytest.skip("the cluster's programs are not built: ./mesh cluster build")
    with contextlib.closing(ControlPlane(tmp_path_factory.mktemp("charts"))) as running:
        yield running


@pytest.fixture(scope="module")
def kubectl(cluster: ControlPlane) -> Kubectl:
    return Kubectl(cluster.kubeconfig)


@pytest.fixture(scope="module")
def helm(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(tmp_path_factory.mktemp("helm"), kubeconfig=cluster.kubeconfig)


class Given:
    """What `install` makes and Helm is given."""

    def __init__(self) -> None:
        now = SystemClock().wall()
        self.root = Signer("root.linkerd.cluster.local", starts=now - 60)
        self.issuer = Signer("identity.linkerd.cluster.local", by=self.root, starts=now - 60)

    def issuers(self) -> dict[str, Any]:
        tls = {"crtPEM": self.issuer.pem.decode(), "keyPEM": self.issuer.key_pem.decode()}
        return {
            "identityTrustAnchorsPEM": self.root.pem.decode(),
            "identity": {"issuer": {"tls": tls}},
        }

    def webhooks(self) -> dict[str, Any]:
        made = make_certificate("localhost", now=SystemClock().wall())
        pair = {"crtPEM": made.certificate, "keyPEM": made.key}
        return {"proxyInjector": pair, "policyValidator": pair, "tap": pair}


@pytest.fixture(scope="module")
def given() -> Given:
    return Given()


CASES = {
    "default": Layers(),
    "ha": Layers(ha=True),
    "cni": Layers(set=("cniEnabled=true,networkPolicies=true,disableIPv6=false",)),
    "classic": Layers(set=("proxy.nativeSidecar=false,proxy.waitBeforeExitSeconds=3",)),
    "prometheus": Layers(
        set=(
            "prometheus.enabled=true,prometheus.persistence.size=1Gi,networkPolicies=true",
            "grafana.url=grafana.grafana:3000",
        )
    ),
    "by-others": Layers(
        set=(
            "identity.issuer.scheme=kubernetes.io/tls,identity.externalCA=true",
            "proxyInjector.externalSecret=true,proxyInjector.injectCaFrom=linkerd/injector",
            "configReaders[0].name=viz,configReaders[0].namespace=linkerd-viz",
        )
    ),
}


def objects(given: Given, layers: Layers = CASES["default"], **more: str) -> list[Any]:
    files = (as_yaml([given.issuers() | given.webhooks()]),)
    return render(values_of(Layers(layers.ha, files, layers.set)), **more)


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_takes_every_object_as_it_is(
    kubectl: Kubectl, given: Given, case: str
) -> None:
    space = f"tried-{case}"
    kubectl("create", "namespace", space)
    made = objects(given, CASES[case], namespace=space)
    words = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-")
    # What is there already is not made by kubectl apply.
    done = kubectl.try_(*words, "--force-conflicts", stdin=as_yaml(made))
    assert done.returncode == 0, done.stderr
    assert "unknown field" not in done.stderr
    assert "Warning" not in done.stderr
    assert len(done.stdout.splitlines()) == len(made)
    kubectl("delete", "namespace", space, "--wait=false")


def replicas(kubectl: Kubectl, name: str) -> int:
    words = ("get", "deployment", name, f"--namespace={NAMESPACE}", "--output=json")
    return int(json.loads(kubectl(*words))["spec"]["replicas"])


def bundle(kubectl: Kubectl) -> str:
    """By what API servers verify the injector."""
    kind = "mutatingwebhookconfigurations"
    name = "linkerd-proxy-injector-webhook-config"
    (hook,) = json.loads(kubectl("get", kind, name, "--output=json"))["webhooks"]
    return str(hook["clientConfig"]["caBundle"])


def certificates(bundled: str) -> list[bytes]:
    found = x509.load_pem_x509_certificates(base64.b64decode(bundled))
    return [one.public_bytes(Encoding.DER) for one in found]


def left(kubectl: Kubectl) -> list[str]:
    """Objects that say that they are the control plane's, of all kinds that there are."""
    kinds = kubectl("api-resources", "--verbs=list", "--output=name").split()
    kinds = [kind for kind in kinds if not kind.startswith(("events", "endpoints."))]
    label = f"linkerd.io/control-plane-ns={NAMESPACE}"
    words = ("get", ",".join(kinds), "--all-namespaces", "--output=name", f"--selector={label}")
    return kubectl(*words).split()


def test_helm_installs_upgrades_goes_back_and_leaves_nothing(
    helm: Helm, kubectl: Kubectl, given: Given, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(as_yaml([given.issuers()]))
    where = ("--namespace", NAMESPACE, "--create-namespace")
    helm("install", "linkerd2-py-crds", CRDS.parent, *where)
    kinds = kubectl("get", "customresourcedefinitions", "--output=name")
    assert {one["metadata"]["name"] for one in render_crds()} <= {
        name.rpartition("/")[2] for name in kinds.split()
    }

    notes = helm("install", RELEASE, CHART, *where, "-f", values)
    assert "linkerd2-py check" in notes
    first = bundle(kubectl)
    assert replicas(kubectl, "linkerd-destination") == 1

    helm("upgrade", RELEASE, CHART, *where, "-f", values, "-f", CHART / "values-ha.yaml")
    assert replicas(kubectl, "linkerd-destination") == 3
    # Pods answer with the certificate that they have: what verifies it stays.
    assert bundle(kubectl) == first

    # Half a year later: a new one, and pods still answer with the old one for a moment.
    kubectl(
        *("annotate", "--overwrite", f"--namespace={NAMESPACE}", "secret"),
        *("linkerd-proxy-injector-k8s-tls", "linkerd2-py/renew-after=1"),
    )
    helm("upgrade", RELEASE, CHART, *where, "-f", values, "-f", CHART / "values-ha.yaml")
    new, old = certificates(bundle(kubectl))
    assert [old] == certificates(first)
    assert new != old

    helm("rollback", RELEASE, "1", *where[:2])
    assert replicas(kubectl, "linkerd-destination") == 1

    assert "configmap/linkerd-config" in left(kubectl)
    helm("uninstall", RELEASE, *where[:2])
    # Pods of Deployments go after them.
    eventually(lambda: left(kubectl) == [], deadline_s=START_S, what="nothing is left")
    helm("uninstall", "linkerd2-py-crds", *where[:2])


@pytest.fixture(scope="module")
def installed(kubectl: Kubectl, given: Given) -> Iterator[None]:
    """By `install`'s objects, in a namespace where nobody is asked about pods."""
    apply = ("apply", "--server-side", "--filename=-")
    kubectl(*apply, stdin=as_yaml(render_crds()))
    for one in render_crds():
        kubectl("wait", "--for=condition=established", f"crd/{one['metadata']['name']}")
    everything = objects(given, Layers(set=("prometheus.enabled=true",)))
    made = [one for one in everything if not one["kind"].endswith("WebhookConfiguration")]
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kubectl(*apply, stdin=as_yaml(made))
    yield
    kubectl("delete", "--wait=false", "--filename=-", stdin=as_yaml(made))


def asked(
    kubectl: Kubectl, account: str, questions: Sequence[tuple[str, str, str, str]]
) -> dict[str, bool]:
    """Whether an account may do each: verb, group, resource (with its part), and namespace, or all."""
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{NAMESPACE}:{account}",
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {
                    "verb": verb,
                    "group": group,
                    "resource": resource.partition("/")[0],
                    "subresource": resource.partition("/")[2],
                    "namespace": namespace,
                },
            },
        }
        for verb, group, resource, namespace in questions
    ]
    said = kubectl("create", "--filename=-", "--output=json", stdin=as_yaml(reviews))
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(said):
        one, at = decoder.raw_decode(said, at)
        found += one.get("items", [one])
        at += len(said[at:]) - len(said[at:].lstrip())
    assert len(found) == len(questions)
    return {
        f"{verb} {resource}.{group} in {namespace or 'all'}": one["status"]["allowed"]
        for (verb, group, resource, namespace), one in zip(questions, found, strict=True)
    }


GATEWAY, POLICY = "gateway.networking.k8s.io", "policy.linkerd.io"
FOLLOWED = [
    *(("", name) for name in ("namespaces", "nodes", "pods", "services")),
    ("discovery.k8s.io", "endpointslices"),
    *((one.group, one.plural) for one in WORKLOADS.values()),
    *((one.group, one.plural) for table in DIRECT.values() for one in table),
]
FOLLOW = [(verb, *one, "") for one in FOLLOWED for verb in ("list", "watch")]
WRITTEN = [
    *((POLICY, kind) for kind in ("egressnetworks", "httplocalratelimitpolicies", "httproutes")),
    *((GATEWAY, kind) for kind in ("grpcroutes", "httproutes", "tcproutes", "tlsroutes")),
]
MAY = {
    "linkerd-identity": [
        ("create", "authentication.k8s.io", "tokenreviews", ""),
        ("create", "", "events", NAMESPACE),
    ],
    "linkerd-destination": [
        *FOLLOW,
        *(("get", *one, "") for one in WRITTEN),
        *(("patch", group, f"{kind}/status", "") for group, kind in WRITTEN),
        *(
            (verb, "discovery.k8s.io", "endpointslices", "")
            for verb in ("create", "patch", "delete")
        ),
        *(
            (verb, "coordination.k8s.io", "leases", NAMESPACE)
            for verb in ("create", "get", "update")
        ),
    ],
    "linkerd-public-api": FOLLOW,
    "linkerd-tap": [
        *FOLLOW,
        ("create", "authorization.k8s.io", "subjectaccessreviews", ""),
        # In the role that Kubernetes has for APIs behind its own.
        ("create", "authentication.k8s.io", "tokenreviews", ""),
    ],
    "linkerd-prometheus": [(verb, "", "pods", "") for verb in ("get", "list", "watch")],
    # In the role of people who may watch everything.
    "linkerd-web": [
        *(("watch", "tap.linkerd.io", f"{kind}/tap", "") for kind in ("deployments", "pods")),
        ("watch", "tap.linkerd.io", "tap", "emojivoto"),
        ("list", "", "namespaces", ""),
    ],
    "linkerd-proxy-injector": [
        ("get", "", "namespaces", ""),
        ("get", "apps", "replicasets", ""),
        ("get", "batch", "jobs", ""),
        *((verb, "", "events", "") for verb in ("create", "patch")),
    ],
}
NOBODY = [
    *((verb, "", "secrets", space) for verb in ("get", "list") for space in ("", NAMESPACE)),
    *((verb, "", "pods", "") for verb in ("create", "update", "patch", "delete")),
    *(("create", "", f"pods/{part}", "") for part in ("exec", "attach", "portforward", "eviction")),
    ("create", "", "serviceaccounts/token", ""),
    *((verb, "", "configmaps", NAMESPACE) for verb in ("create", "update", "patch", "list")),
    *((verb, "apps", "deployments", NAMESPACE) for verb in ("create", "update", "patch", "delete")),
    *(
        (verb, "rbac.authorization.k8s.io", "clusterroles", "")
        for verb in ("create", "bind", "escalate")
    ),
    ("update", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", ""),
    ("impersonate", "", "users", ""),
    ("impersonate", "", "serviceaccounts", ""),
    ("create", "certificates.k8s.io", "certificatesigningrequests", ""),
    ("get", "", "nodes/proxy", ""),
    ("patch", "", "services", ""),
    ("patch", POLICY, "servers", ""),
    ("update", "coordination.k8s.io", "leases", "kube-system"),
    ("create", "", "nodes", ""),
    ("*", "*", "*", ""),
]
ONE_ONLY = {
    "linkerd-identity": [
        ("create", "authentication.k8s.io", "tokenreviews", ""),
        ("get", "apps", "deployments", NAMESPACE),
    ],
    "linkerd-destination": [
        ("delete", "discovery.k8s.io", "endpointslices", ""),
        ("patch", POLICY, "httproutes/status", ""),
        ("update", "coordination.k8s.io", "leases", NAMESPACE),
    ],
    "linkerd-proxy-injector": [("patch", "", "events", ""), ("get", "", "namespaces", "")],
    "linkerd-web": [("watch", "tap.linkerd.io", "pods/tap", "")],
}
"""What an account may do, and others may not but for those whose work it is, too."""


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_may_do_what_its_component_does(
    installed: None, kubectl: Kubectl, account: str
) -> None:
    found = asked(kubectl, account, MAY[account])
    assert [question for question, allowed in found.items() if not allowed] == []


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_may_not_do_what_only_others_do(
    installed: None, kubectl: Kubectl, account: str
) -> None:
    others = [one for other, several in ONE_ONLY.items() if other != account for one in several]
    found = asked(kubectl, account, [*NOBODY, *(one for one in others if one not in MAY[account])])
    assert [question for question, allowed in found.items() if allowed] == []


def as_account(cluster: ControlPlane, account: str) -> Path:
    return cluster.kubeconfig_of(f"system:serviceaccount:{NAMESPACE}:{account}")


@pytest.mark.parametrize("name", ["destination", "public-api"])
def test_a_process_that_follows_the_cluster_is_in_no_trouble_as_its_account(
    installed: None, cluster: ControlPlane, kubectl: Kubectl, tmp_path: Path, name: str
) -> None:
    words = ("--kubeconfig", as_account(cluster, f"linkerd-{name}"))
    with Controller(name, *words, folder=tmp_path) as running:
        running.wait_ready()
        if name == "destination":
            get = ("get", "leases", f"--namespace={NAMESPACE}", "--output=json")
            eventually(
                lambda: (
                    sum(
                        bool(one["spec"].get("holderIdentity"))
                        for one in json.loads(kubectl(*get))["items"]
                    )
                    == 2
                ),
                deadline_s=START_S,
                what="it leads twice",
            )
        # Kinds of Gateway API are not there, which is no trouble.
        assert running.ask("/ready") == (200, "ok\n")
        assert not re.search("(?i)forbidden", running.child.output())


def self_check(address: str) -> dict[str, str]:
    """What public-api says of the Prometheus that it was told of."""
    url = f"http://{address}/api/v1/self-check"
    results = httpx2.get(url, trust_env=False, timeout=START_S).json()["results"]
    return {
        one["description"]: one["message"]
        for one in results
        if one["category"] == "linkerd-prometheus"
    }


@needs_prometheus
async def test_public_api_asks_the_prometheus_that_its_manifest_names(
    installed: None, cluster: ControlPlane, tmp_path: Path
) -> None:
    account = ("--kubeconfig", as_account(cluster, "linkerd-public-api"))
    async with prometheus(tmp_path, {}) as running:
        words = (*account, "--prometheus-url", running.url)
        with Controller("public-api", *words, folder=tmp_path) as api:
            api.wait_ready()
            assert self_check(api.address) == {
                "Prometheus can be asked": "",
                "Prometheus can scrape every proxy": "",
            }
            running.child.kill()
            (told,) = self_check(api.address).values()
            assert told.startswith(f"Prometheus at {running.url} does not answer")
            url = f"http://{api.address}/api/v1/stat?type=deploy"
            answer = httpx2.get(url, trust_env=False, timeout=START_S)
            assert (answer.status_code, answer.json()["error"]) == (503, told)


def test_identity_is_ready_as_its_account(
    installed: None, cluster: ControlPlane, given: Given, tmp_path: Path
) -> None:
    issuer, roots = tmp_path / "issuer", tmp_path / "roots"
    for folder, files in (
        (issuer, {"crt.pem": given.issuer.pem, "key.pem": given.issuer.key_pem}),
        (roots, {"ca-bundle.crt": given.root.pem}),
    ):
        folder.mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content)
    mounted = ("--issuer", issuer, "--trust-roots", roots)
    words = (*mounted, "--kubeconfig", as_account(cluster, "linkerd-identity"))
    with Controller("identity", *words, folder=tmp_path) as running:
        running.wait_ready()
        assert running.ask("/ready") == (200, "ok\n")
