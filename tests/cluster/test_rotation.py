"""A trust anchor rotated on a real API server, step by step: pods are this test's, and so is what they
present.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.cli.main import run
from linkerd2_py.cli.rotation import run as running
from linkerd2_py.controlplane.identity.ca import Signer, make_anchor, make_issuer_below
from linkerd2_py.controlplane.identity.names import TrustDomain
from tests.support.certified_port import CertifiedPort
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.kubelet import Kubelet
from tests.support.cluster.outside import NODE, make_namespace
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(600)
NAMESPACE = "rotated"
SHOP = "rotated-shop"
DOMAIN = TrustDomain(control_namespace=NAMESPACE)
WEB = f"web.{SHOP}.serviceaccount.identity.{NAMESPACE}.cluster.local"
IN_MESH = {"linkerd.io/control-plane-ns": NAMESPACE}
Said = tuple[int, str, str]
Rotate = Callable[..., Said]
Object = dict[str, Any]


def authority() -> tuple[Signer, Signer]:
    now = SystemClock().wall()
    anchor = make_anchor(DOMAIN, now=now)
    return anchor, make_issuer_below(anchor, DOMAIN, now=now)


class Mesh:
    """What a control plane's manifest would have put there, with pods that somebody says are ready."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.anchor, self.issuer = authority()
        make_namespace(kubectl, NAMESPACE)
        make_namespace(kubectl, SHOP)
        pem = self.anchor.certificate_pem.decode()
        values = yaml.safe_dump({"identityTrustAnchorsPEM": pem, "kept": 1})
        kubectl.apply(
            self.config("linkerd-identity-trust-roots", {"ca-bundle.crt": pem}),
            self.config("linkerd-config", {"values": values}),
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "linkerd-identity-issuer", "namespace": NAMESPACE},
                "data": {
                    "crt.pem": base64.b64encode(self.issuer.certificate_pem).decode(),
                    "key.pem": base64.b64encode(self.issuer.key_pem).decode(),
                },
            },
            *(self.deployment(name) for name in ("identity", "proxy-injector")),
        )
        self.ready()

    def config(self, name: str, data: dict[str, str]) -> Object:
        about = {"name": name, "namespace": NAMESPACE}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data}

    def deployment(self, component: str) -> Object:
        labels = {**IN_MESH, "linkerd.io/control-plane-component": component}
        variable = {
            "configMapKeyRef": {"name": "linkerd-identity-trust-roots", "key": "ca-bundle.crt"}
        }
        env = [{"name": "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "valueFrom": variable}]
        containers = [{"name": "linkerd-proxy", "image": "none", "env": env}]
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"linkerd-{component}", "namespace": NAMESPACE},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
        }

    def pod(self, name: str, *, port: int, anchors: str) -> None:
        """One that an injector has made a part of the mesh, and that runs."""
        proxy = {
            "name": "linkerd-proxy",
            "image": "none",
            "env": [{"name": "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "value": anchors}],
            "ports": [{"name": "linkerd-proxy", "containerPort": port}],
        }
        about = {"name": name, "namespace": SHOP, "labels": IN_MESH}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about}
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        self.kubectl.apply({**account, "metadata": {"name": "web", "namespace": SHOP}})
        spec = {"nodeName": NODE, "serviceAccountName": "web", "containers": [proxy]}
        self.kubectl.apply({**pod, "spec": spec})
        states = [{"name": "linkerd-proxy", "state": {"running": {}}, "image": "", "imageID": ""}]
        for one in states:
            one.update(ready=True, restartCount=0)
        self.kubectl.apply_status(
            {**pod, "status": {"phase": "Running", "containerStatuses": states}}
        )

    def delete_pod(self, name: str) -> None:
        self.kubectl("delete", "pod", name, f"--namespace={SHOP}", "--force", "--grace-period=0")

    def ready(self) -> None:
        """Every Deployment has the pods of its newest template, and no others."""

        def rolled_out() -> bool:
            for pod in self.pods():
                about = {"name": pod["metadata"]["name"], "namespace": NAMESPACE}
                known = {"apiVersion": "v1", "kind": "Pod", "metadata": about}
                conditions = [{"type": "Ready", "status": "True"}]
                if not pod["metadata"].get("deletionTimestamp") and not pod["status"].get(
                    "conditions"
                ):
                    self.kubectl.apply_status({**known, "status": {"conditions": conditions}})
            done = self.kubectl.try_(
                "rollout", "status", "deploy", f"--namespace={NAMESPACE}", "--watch=false"
            )
            return (
                done.returncode == 0 and len(self.pods()) == 2 and done.stdout.count("success") == 2
            )

        eventually(rolled_out, deadline_s=60)

    def pods(self) -> list[Object]:
        found = json.loads(self.kubectl("get", "pods", f"--namespace={NAMESPACE}", "-o", "json"))
        return list(found["items"])

    def bundle(self) -> str:
        path = "-o=jsonpath={.data.ca-bundle\\.crt}"
        return self.kubectl("get", "cm", "linkerd-identity-trust-roots", f"-n={NAMESPACE}", path)

    def secret(self, name: str) -> dict[str, bytes]:
        found = json.loads(self.kubectl("get", "secret", name, f"-n={NAMESPACE}", "-o", "json"))
        return {key: base64.b64decode(value) for key, value in found["data"].items()}


@pytest.fixture
def mesh(kubectl: Kubectl) -> Iterator[Mesh]:
    yield Mesh(kubectl)
    for name in (NAMESPACE, SHOP):
        kubectl("delete", "namespace", name, "--wait=true", "--timeout=120s")


@pytest.fixture
def rotate(
    control_plane: ControlPlane, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Rotate:
    """Status and outputs of `identity rotate-anchors`."""
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    monkeypatch.setattr(running, "SETTLE_S", 0.1)

    def asked(*words: str) -> Said:
        status = run(["identity", "rotate-anchors", "-L", NAMESPACE, *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return asked


def test_from_one_anchor_to_another(mesh: Mesh, rotate: Rotate, tmp_path: Path) -> None:
    with (
        CertifiedPort(tmp_path, identity=WEB, issuer=mesh.issuer) as port,
        Kubelet(tmp_path, ports={port.port: port.address}) as kubelet,
    ):
        kubelet.register(mesh.kubectl)
        rotated(mesh, rotate, port)


def rotated(mesh: Mesh, rotate: Rotate, port: CertifiedPort) -> None:
    before = mesh.bundle()
    mesh.pod("web-0", port=port.port, anchors=before)
    status, said, _ = rotate()
    assert (status, said.splitlines()[0]) == (
        0,
        "no rotation has begun; 1 anchor(s) in the bundle, 3 proxies",
    )
    assert mesh.bundle() == before

    assert rotate("--apply")[2] == "the new anchor is in the Secret linkerd-identity-rotation\n"
    fresh = mesh.secret("linkerd-identity-rotation")["ca.crt"].decode()
    assert "key.pem" in mesh.secret("linkerd-identity-rotation")
    assert rotate("--apply")[2] == "the bundle has the new anchor beside what was there\n"
    both = mesh.bundle()
    assert (before.strip() in both, fresh.strip() in both) == (True, True)
    path = ("get", "cm", "linkerd-config", f"-n={NAMESPACE}", "-o=jsonpath={.data.values}")
    assert yaml.safe_load(mesh.kubectl(*path)) == {"identityTrustAnchorsPEM": both, "kept": 1}

    told = rotate("--apply")[2]
    assert told == "restarted: deploy/linkerd-identity, deploy/linkerd-proxy-injector\n"
    # Not over before the last pod of before is gone.
    status, said, told = rotate("--apply")
    assert (status, told) == (0, "")
    assert said.startswith(
        "next: restart the control plane, so that whatever it injects trusts both\n"
    )
    mesh.ready()

    status, said, told = rotate("--apply")
    assert (status, told) == (0, "")
    assert f"\n  {SHOP} po/web-0 (1)\n" in said
    assert mesh.secret("linkerd-identity-issuer")["crt.pem"] == mesh.issuer.certificate_pem
    mesh.delete_pod("web-0")
    mesh.pod("web-0", port=port.port, anchors=both)

    assert (
        rotate("--apply")[2]
        == "the Secret linkerd-identity-issuer has the issuer below the new anchor\n"
    )
    issuer = mesh.secret("linkerd-identity-issuer")
    certificate = x509.load_pem_x509_certificate(issuer["crt.pem"])
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(fresh.encode()))
    assert rotate("--apply")[2] == "the identity service is restarted\n"
    # Its key is kept in one place only.
    assert "key.pem" not in mesh.secret("linkerd-identity-rotation")
    mesh.ready()

    status, said, told = rotate("--apply")
    assert (status, told) == (0, "")
    assert said.startswith(
        "next: wait until every proxy presents a certificate of the new issuer\n1 of 3 proxies"
    )
    assert mesh.bundle() == both
    port.present(signer_of(issuer))

    assert rotate("--apply")[2] == "the bundle has the new anchor only\n"
    assert mesh.bundle() == fresh.strip()
    assert rotate("--apply")[2].startswith("restarted: deploy/linkerd-identity")
    mesh.ready()
    assert f"\n  {SHOP} po/web-0 (1)\n" in rotate("--apply")[1]
    _, plan, _ = rotate("--plan")
    assert plan.count("√") == 9
    assert "\n→ restart the workloads that still trust the old anchor\n" in plan
    mesh.delete_pod("web-0")
    assert rotate("--apply", "--wait", "1m")[::2] == (
        0,
        "the rotation is over: every proxy trusts the new anchor, and no other\n",
    )
    assert mesh.kubectl("get", "secret", f"-n={NAMESPACE}", "-o=name").split() == [
        "secret/linkerd-identity-issuer"
    ]


def signer_of(secret: dict[str, bytes]) -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(secret["key.pem"], password=None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return Signer(x509.load_pem_x509_certificate(secret["crt.pem"]), key)
