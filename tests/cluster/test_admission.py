"""A real API server asks our webhook before it takes objects of the mesh."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.listen import LOOPBACK
from linkerd2_py.controlplane.policy.admission.review import validate
from linkerd2_py.controlplane.public_api.tls import TlsFiles
from linkerd2_py.controlplane.run.components import serve_webhook
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import PROGRAM, START_S, Controller
from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl, listed
from tests.support.wait import eventually_async

NAMESPACE = "admitted"
POLICY = "policy.linkerd.io"
GATEWAY = "gateway.networking.k8s.io"
RULES = [
    {
        "operations": ["CREATE", "UPDATE"],
        "apiGroups": [group],
        "apiVersions": ["*"],
        "resources": ["*"],
    }
    for group in (POLICY, GATEWAY, "linkerd.io")
]

# The first of them waits until the API server has started.
pytestmark = pytest.mark.timeout(300)


def configuration(url: str, *, authority: trustme.CA) -> dict[str, Any]:
    """Whom the API server asks."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "policy-validator"},
        "webhooks": [
            {
                "name": "policy-validator.linkerd.io",
                "clientConfig": {
                    "url": url,
                    "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode(),
                },
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": NAMESPACE},
                },
                "failurePolicy": "Fail",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "rules": RULES,
            }
        ],
    }


def written(authority: trustme.CA, folder: Path) -> TlsFiles:
    """A certificate for loopback, as a Secret is mounted."""
    pair = authority.issue_cert("127.0.0.1")
    files = TlsFiles(folder / "tls.crt", folder / "tls.key")
    files.certificate.write_bytes(b"".join(one.bytes() for one in pair.cert_chain_pems))
    files.key.write_bytes(pair.private_key_pem.bytes())
    return files


@pytest.fixture
async def asked(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Kubectl]:
    """kubectl, before an API server that asks us."""
    kubectl = Kubectl(control_plane.kubeconfig)
    authority = trustme.CA()
    tls = written(authority, tmp_path)
    async with serve_webhook(validate, name="policy-validator", tls=tls, listen=LOOPBACK) as url:
        await asyncio.to_thread(install_crds, kubectl)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await apply(kubectl, namespace, configuration(url, authority=authority))

        async def is_asked() -> bool:
            # It takes a moment until the configuration is known everywhere.
            return "is none of" in await apply(kubectl, server(accessPolicy="nobody"))

        try:
            await eventually_async(is_asked, deadline_s=30)
            yield kubectl
        finally:
            words = ("delete", "validatingwebhookconfigurations", "policy-validator")
            await asyncio.to_thread(kubectl, *words)


async def apply(kubectl: Kubectl, *objects: dict[str, Any]) -> str:
    """What kubectl complained about; nothing where everything was taken."""
    words = ("apply", "--server-side", "--force-conflicts", "--filename=-")
    done = await asyncio.to_thread(kubectl.try_, *words, stdin=listed(objects))
    return done.stderr if done.returncode else ""


def made(kind: str, group: str, spec: dict[str, Any]) -> dict[str, Any]:
    name, _, version = kind.partition("/")
    about = {"name": "it", "namespace": NAMESPACE}
    return {"apiVersion": f"{group}/{version}", "kind": name, "metadata": about, "spec": spec}


def server(**more: Any) -> dict[str, Any]:
    return made("Server/v1beta3", POLICY, {"podSelector": {}, "port": 80, **more})


async def test_an_object_is_taken_or_refused_by_its_field(asked: Kubectl) -> None:
    assert await apply(asked, server()) == ""
    # An edit is asked for, too; what was taken stays as it was.
    refused = await apply(asked, server(proxyProtocol="garbanzo"))
    assert 'admission webhook "policy-validator.linkerd.io" denied the request' in refused
    assert "spec.proxyProtocol: 'garbanzo' is none of unknown, HTTP/1" in refused
    words = ("get", "server", "it", f"--namespace={NAMESPACE}", "--output=jsonpath={.spec}")
    assert "garbanzo" not in await asyncio.to_thread(asked, *words)


async def test_every_kind_is_asked_about(asked: Kubectl) -> None:
    refused = {
        "spec.networks[0].cidr": made(
            "NetworkAuthentication/v1alpha1", POLICY, {"networks": [{"cidr": "10.0.0.0/99"}]}
        ),
        "spec.identities[0]": made(
            "MeshTLSAuthentication/v1alpha1", POLICY, {"identities": ["a..b"]}
        ),
        "spec.targetRef": made(
            "AuthorizationPolicy/v1alpha1",
            POLICY,
            {"targetRef": {"kind": "Pod", "name": "a"}, "requiredAuthenticationRefs": []},
        ),
        "spec.client.networks[0].except[0]": made(
            "ServerAuthorization/v1beta1",
            POLICY,
            {
                "server": {"name": "web"},
                "client": {"networks": [{"cidr": "10.0.0.0/8", "except": ["11.0.0.0/8"]}]},
            },
        ),
        "spec.networks": made(
            "EgressNetwork/v1alpha1", POLICY, {"trafficPolicy": "Allow", "networks": []}
        ),
        "spec.total.requestsPerSecond": made(
            "HTTPLocalRateLimitPolicy/v1alpha1",
            POLICY,
            {
                "targetRef": {"group": POLICY, "kind": "Server", "name": "web"},
                "total": {"requestsPerSecond": 0},
            },
        ),
        "spec.rules[0].matches[0].path.value": made(
            "HTTPRoute/v1beta3",
            POLICY,
            {"rules": [{"matches": [{"path": {"type": "Exact", "value": "a"}}]}]},
        ),
        "spec.rules[0].backendRefs[0].port": made(
            "HTTPRoute/v1", GATEWAY, {"rules": [{"backendRefs": [{"name": "a"}]}]}
        ),
        "spec.rules[0].matches[0].method.type": made(
            "GRPCRoute/v1",
            GATEWAY,
            {"rules": [{"matches": [{"method": {"type": "RegularExpression"}}]}]},
        ),
        "spec.rules": made("TCPRoute/v1alpha2", GATEWAY, {"rules": [{}, {}]}),
        "spec.routes[0].condition.pathRegex": made(
            "ServiceProfile/v1alpha2",
            "linkerd.io",
            {"routes": [{"name": "a", "condition": {"pathRegex": "["}}]},
        ),
    }
    for field, one in refused.items():
        assert f"denied the request: {field}: " in await apply(asked, one), field


def test_the_process_that_answers_policies_is_asked_too(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    authority = trustme.CA()
    files = written(authority, tmp_path)
    words = (
        *("--kubeconfig", control_plane.kubeconfig, "--server-addr", "127.0.0.1:0"),
        *("--server-tls-certs", files.certificate, "--server-tls-key", files.key),
    )
    with Controller("destination", *words, folder=tmp_path) as running:
        where = running.child.wait_for_line(
            r"policy-validator listens on (\S+)", deadline_s=START_S
        )
        trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        review = {
            "request": {
                "uid": "u",
                "kind": {"group": POLICY, "version": "v1beta3", "kind": "Server"},
                "object": {"spec": {"port": 0}},
            }
        }
        answer = httpx2.post(f"https://{where[1]}/", json=review, verify=trusting, trust_env=False)
        assert "spec.port: " in answer.json()["response"]["status"]["message"]
        assert running.stop() == 0


def test_without_a_certificate_the_process_says_so(tmp_path: Path) -> None:
    words = ("--server-tls-certs", "nowhere.crt", "--server-tls-key", "nowhere.key")
    listen = ("--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
    done = subprocess.run(
        [*PROGRAM, "destination", *listen, *words, "--server-addr", "127.0.0.1:0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "policy-validator: nowhere.crt, nowhere.key: No such file or directory\n" in done.stderr
    assert "Traceback" not in done.stderr


async def test_another_certificate_is_for_new_connections(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    files = written(authority, tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    listener = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", ssl=context
    )
    port = listener.sockets[0].getsockname()[1]
    following = spawn(files.follow(context, poll_s=0.01), name="following")

    async def is_trusted(by: trustme.CA) -> bool:
        trusting = ssl.create_default_context(cadata=by.cert_pem.bytes().decode())
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        except ssl.SSLError:
            return False
        writer.close()
        return True

    try:
        assert await is_trusted(authority)
        files.key.write_text("half of one")
        await asyncio.sleep(0.05)
        assert await is_trusted(authority)
        written(other, tmp_path)
        await eventually_async(lambda: is_trusted(other))
    finally:
        await cancel_all([following])
        listener.close()
        await listener.wait_closed()
