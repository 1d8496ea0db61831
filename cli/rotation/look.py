"""A mesh's trust as a cluster has it: bundle, issuer, what every proxy was started with, what has begun."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.objects import OF_MESH, find, listed
from linkerd2_py.cli.rotation.steps import Anchors, Next, Proxy, Rotation, Seen, Step, next_step

if TYPE_CHECKING:
    from cryptography import x509

    from linkerd2_py.controlplane.kubernetes_api import Json
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

BUNDLE: Final = "linkerd-identity-trust-roots"
BUNDLE_KEY: Final = "ca-bundle.crt"
ISSUER: Final = "linkerd-identity-issuer"
ROTATION: Final = "linkerd-identity-rotation"
"""The Secret that is there as long as a rotation lasts."""
FRESH_KEY, RETIRED_KEY, CERTIFICATE_KEY, PRIVATE_KEY = "ca.crt", "retired.crt", "crt.pem", "key.pem"
"""What it holds: the new anchor, those before it, the new issuer and its key until that is in force."""
COMPONENT: Final = "linkerd.io/control-plane-component"
TRUST_ROOT_ANNOTATION: Final = "linkerd.io/trust-root-sha256"
ISSUER_ANNOTATION: Final = "linkerd.io/issuer-sha256"
RESTARTED_ANNOTATION: Final = "kubectl.kubernetes.io/restartedAt"
_PROXY: Final = "linkerd-proxy"
_ANCHORS_VARIABLE: Final = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"
_TRUST_DOMAIN_VARIABLE: Final = "_l5d_trustdomain"
_INBOUND_PORT: Final = 4143
_OVER: Final = frozenset({"Succeeded", "Failed"})
_EXTERNAL_CERTIFICATE: Final = "tls.crt"
_SHORT: Final = {"Deployment": "deploy", "StatefulSet": "sts", "DaemonSet": "ds"}
RESTARTABLE: Final = {short: f"{kind.lower()}s" for kind, short in _SHORT.items()}
"""Workloads whose pods are replaced when their template changes."""


@dataclass(frozen=True, slots=True)
class Meshed:
    """A pod with a proxy: where to reach it, and what it was told; `restarted` as its annotation says."""

    proxy: Proxy
    port: int
    identity: str
    running: bool
    restarted: str


@dataclass(frozen=True, slots=True)
class Look:
    """The mesh at one moment, and the objects that say so, each of one version."""

    seen: Seen
    pods: tuple[Meshed, ...]
    bundle: Json
    issuer: Json
    rotation: Json | None

    @property
    def next(self) -> Next:
        return next_step(self.seen)

    @property
    def bundle_text(self) -> str:
        """The anchors that proxies are started with, in PEM."""
        return bundle_text(self.bundle)

    @property
    def external(self) -> bool:
        """Whether somebody else makes the issuer, as cert-manager does."""
        return _EXTERNAL_CERTIFICATE in (self.issuer.get("data") or {})

    @property
    def issuer_certificates(self) -> list[x509.Certificate]:
        return issuer_certificates(self.issuer)

    def meshed(self, proxy: Proxy) -> Meshed:
        """What else is known of it."""
        return next(pod for pod in self.pods if pod.proxy.called == proxy.called)


async def look(api: ApiServer, *, namespace: str) -> Look:
    """What there is. CliError where no control plane is there, or none whose trust is of this kind."""
    root = f"/api/v1/namespaces/{namespace}"
    bundle = await find(api, f"{root}/configmaps/{BUNDLE}")
    issuer = await find(api, f"{root}/secrets/{ISSUER}")
    if bundle is None or issuer is None:
        what = f"ConfigMap {BUNDLE}" if bundle is None else f"Secret {ISSUER}"
        raise CliError(
            f"there is no {what} in the namespace {namespace!r}: is a control plane there (-L)?"
        )
    rotation = await find(api, f"{root}/secrets/{ROTATION}")
    text = bundle_text(bundle)
    pods = [
        meshed
        async for pod in listed(api, "/api/v1/pods", {"labelSelector": f"{OF_MESH}={namespace}"})
        if (meshed := _meshed(pod, namespace=namespace, bundle=text)) is not None
    ]
    certificates = issuer_certificates(issuer)
    seen = Seen(
        bundle=anchors_in(text, where=f"the ConfigMap {BUNDLE}"),
        issuer=public_key(certificates[0]),
        proxies=tuple(pod.proxy for pod in pods),
        rotation=_begun(rotation, issuer=certificates),
    )
    return Look(seen, tuple(pods), bundle, issuer, rotation)


async def look_at_certificates(api: ApiServer, found: Look) -> Look:
    """The same moment, with what proxies present where that is what is waited for."""
    if found.next.step is not Step.RENEW:
        return found
    from linkerd2_py.cli.rotation.leaves import signers

    asked = [found.meshed(proxy) for proxy in found.next.waits_for]
    signed_by = await signers(api, asked, issuer=found.issuer_certificates[0])
    pods = tuple(
        replace(
            pod, proxy=replace(pod.proxy, issuer=signed_by.get(pod.proxy.called, pod.proxy.issuer))
        )
        for pod in found.pods
    )
    seen = replace(found.seen, proxies=tuple(pod.proxy for pod in pods))
    return replace(found, seen=seen, pods=pods)


def bundle_text(config_map: Json) -> str:
    """The anchors in it. CliError where it has none."""
    text = (config_map.get("data") or {}).get(BUNDLE_KEY)
    if not isinstance(text, str) or not text.strip():
        raise CliError(f"the ConfigMap {BUNDLE} has no {BUNDLE_KEY}: it names no trust anchor")
    return text


def said_hashes(bundle: str) -> frozenset[str]:
    """What pods of the control plane may say in their annotation of a bundle that they were started with:
    templates may have trimmed it.
    """
    forms = (bundle, bundle.strip(), f"{bundle.strip()}\n")
    return frozenset(hashlib.sha256(form.encode()).hexdigest() for form in forms)


@cache
def anchors_in(text: str, *, where: str = "") -> Anchors:
    """CliError where these are no certificates."""
    return frozenset(fingerprint(one) for one in certificates_in(text.encode(), where=where))


def certificates_in(pem: bytes, *, where: str) -> list[x509.Certificate]:
    """CliError that names `where` they should have been."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CliError(f"{where} has no certificates in PEM that can be read") from error


def fingerprint(certificate: x509.Certificate) -> str:
    """Of the whole of it."""
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex()


def public_key(certificate: x509.Certificate) -> str:
    """Of its key, whose certificate may be renewed."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(raw).hexdigest()


def secret_value(secret: Json, key: str) -> bytes:
    """Empty where it is not there, or no base64."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "", validate=True)
    except (ValueError, TypeError, binascii.Error):
        return b""


def issuer_certificates(secret: Json) -> list[x509.Certificate]:
    """The issuer's, then those above it. CliError."""
    pem = secret_value(secret, CERTIFICATE_KEY) or secret_value(secret, _EXTERNAL_CERTIFICATE)
    return certificates_in(pem, where=f"the Secret {ISSUER}")


def is_below(certificates: Sequence[x509.Certificate], anchors: Iterable[x509.Certificate]) -> bool:
    """Whether one of the anchors vouches for an issuer."""
    from datetime import UTC, datetime

    from linkerd2_py.base.clock import SystemClock
    from linkerd2_py.controlplane.errors import IssuerError
    from linkerd2_py.controlplane.identity.issuer import path_to_anchor

    moment = datetime.fromtimestamp(SystemClock().wall(), UTC)
    try:
        path_to_anchor(certificates, anchors=list(anchors), moment=moment)
    except IssuerError:
        return False
    return True


def _begun(secret: Json | None, *, issuer: Sequence[x509.Certificate]) -> Rotation | None:
    """Whose issuer is in force as soon as the new anchor vouches for what is."""
    if secret is None:
        return None
    where = f"the Secret {ROTATION}"
    fresh = certificates_in(secret_value(secret, FRESH_KEY), where=where)
    own = secret_value(secret, CERTIFICATE_KEY)
    if is_below(issuer, fresh):
        key = public_key(issuer[0])
    elif own:
        key = public_key(certificates_in(own, where=where)[0])
    else:
        key = "to come"
    retired = anchors_in(secret_value(secret, RETIRED_KEY).decode(errors="replace"), where=where)
    return Rotation(fingerprint(fresh[0]), retired, key)


def _meshed(pod: Mapping[str, Any], *, namespace: str, bundle: str) -> Meshed | None:
    """None for a pod without a proxy, and for one that is over."""
    spec, about = pod.get("spec") or {}, pod["metadata"]
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    proxies = [one for one in containers if one.get("name") == _PROXY]
    if not proxies or (pod.get("status") or {}).get("phase") in _OVER:
        return None
    env = {one.get("name"): one for one in proxies[0].get("env") or ()}
    annotations = about.get("annotations") or {}
    own = about["namespace"] == namespace
    is_running = _runs(pod)
    proxy = Proxy(
        namespace=str(about["namespace"]),
        name=str(about["name"]),
        workload=_workload(about),
        anchors=_anchors_of(env.get(_ANCHORS_VARIABLE) or {}, annotations, bundle=bundle),
        component=str((about.get("labels") or {}).get(COMPONENT) or "other") if own else "",
        issuer=None if is_running else "",
        signs_with=str(annotations.get(ISSUER_ANNOTATION) or ""),
    )
    trust_domain = str((env.get(_TRUST_DOMAIN_VARIABLE) or {}).get("value") or "cluster.local")
    account = str(spec.get("serviceAccountName") or "default")
    name = f"{account}.{proxy.namespace}.serviceaccount.identity.{namespace}.{trust_domain}"
    ports = {one.get("name"): one.get("containerPort") for one in proxies[0].get("ports") or ()}
    port = int(ports.get(_PROXY) or _INBOUND_PORT)
    return Meshed(proxy, port, name, is_running, str(annotations.get(RESTARTED_ANNOTATION) or ""))


def _anchors_of(
    variable: Mapping[str, Any], annotations: Mapping[str, Any], *, bundle: str
) -> Anchors | None:
    """What is written into the pod; else, of what reads the bundle as it starts, what its template said."""
    text = variable.get("value")
    if isinstance(text, str):
        try:
            return anchors_in(text)
        except CliError:
            return None
    if annotations.get(TRUST_ROOT_ANNOTATION) in said_hashes(bundle):
        return anchors_in(bundle)
    return None


def _runs(pod: Mapping[str, Any]) -> bool:
    """A proxy that does not run has no certificate, and gets a new one when it does."""
    status = pod.get("status") or {}
    states = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    return any(
        one.get("name") == _PROXY and "running" in (one.get("state") or {}) for one in states
    )


def _workload(about: Mapping[str, Any]) -> str:
    """`deploy/web`: whose template makes the pod, or the pod itself."""
    owner = next((one for one in about.get("ownerReferences") or () if one.get("controller")), None)
    if owner is None:
        return f"po/{about['name']}"
    kind, name = str(owner.get("kind")), str(owner.get("name"))
    template = (about.get("labels") or {}).get("pod-template-hash")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return f"deploy/{name.removesuffix(f'-{template}')}"
    return f"{_SHORT.get(kind, kind.lower())}/{name}"
