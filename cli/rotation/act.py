"""One step of a rotation, done in a cluster.

Each writes one object, in the version that was seen, or asks for pods to be replaced: whoever is interrupted,
or is overtaken by somebody else, has done a step or none.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.objects import OF_MESH, find
from linkerd2_py.cli.rotation.look import (
    BUNDLE,
    BUNDLE_KEY,
    CERTIFICATE_KEY,
    FRESH_KEY,
    ISSUER,
    ISSUER_ANNOTATION,
    PRIVATE_KEY,
    RESTARTABLE,
    RESTARTED_ANNOTATION,
    RETIRED_KEY,
    ROTATION,
    TRUST_ROOT_ANNOTATION,
    Look,
    Meshed,
    secret_value,
)
from linkerd2_py.cli.rotation.steps import Proxy, Step

if TYPE_CHECKING:
    from linkerd2_py.controlplane.kubernetes_api import Json
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

_CONFIG: Final = "linkerd-config"
_IDENTITY: Final = "linkerd-identity"
_MERGE: Final = "application/strategic-merge-patch+json"


@dataclass(frozen=True, slots=True)
class NewTrust:
    """What a rotation goes to, in PEM; no `certificate` and `key` where somebody else makes the issuer."""

    anchor: bytes
    certificate: bytes = b""
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does steps: in the control plane at `namespace`; workloads are restarted where `restarts` says so.

    `make` gives what to rotate to, when it is asked for the first time.
    """

    api: ApiServer
    namespace: str
    restarts: bool
    make: Callable[[Look], NewTrust]

    async def do(self, found: Look) -> str:
        """What was done, in words; nothing where it is only waited. CliError, `ApiError`."""
        steps: dict[Step, Callable[[Look], Coroutine[Any, Any, str]]] = {
            Step.BEGIN: self._begin,
            Step.ADD: self._add,
            Step.RESTART_CONTROL_PLANE: self._restart_control_plane,
            Step.RESTART_WORKLOADS: self._restart_workloads,
            Step.REPLACE_ISSUER: self._replace_issuer,
            Step.RESTART_IDENTITY: self._restart_identity,
            Step.RENEW: self._renew,
            Step.REMOVE: self._remove,
            Step.FORGET_IN_CONTROL_PLANE: self._restart_control_plane,
            Step.FORGET_IN_WORKLOADS: self._restart_workloads,
            Step.FINISH: self._finish,
        }
        return await steps[found.next.step](found)

    async def _begin(self, found: Look) -> str:
        new = self.make(found)
        data = {FRESH_KEY: new.anchor, RETIRED_KEY: found.bundle_text.encode()}
        if new.key:
            data |= {CERTIFICATE_KEY: new.certificate, PRIVATE_KEY: new.key}
        labels = {OF_MESH: self.namespace, "linkerd.io/control-plane-component": "identity"}
        await self.api.create(
            self._path("secrets"),
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": ROTATION, "namespace": self.namespace, "labels": labels},
                "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
            },
        )
        return f"the new anchor is in the Secret {ROTATION}"

    async def _add(self, found: Look) -> str:
        fresh = self._kept(found, FRESH_KEY).decode()
        await self._write_bundle(found, f"{found.bundle_text.strip()}\n{fresh.strip()}")
        return "the bundle has the new anchor beside what was there"

    async def _remove(self, found: Look) -> str:
        await self._write_bundle(found, self._kept(found, FRESH_KEY).decode().strip())
        return "the bundle has the new anchor only"

    async def _write_bundle(self, found: Look, text: str) -> None:
        config = await find(self.api, self._path("configmaps", _CONFIG))
        if config is not None and _made_elsewhere(config):
            raise CliError(
                f"the ConfigMap {BUNDLE} is made by somebody else (identity.externalCA): change the bundle"
                " there; this command goes on from what it finds"
            )
        data = {**(found.bundle.get("data") or {}), BUNDLE_KEY: text}
        await self.api.replace(self._path("configmaps", BUNDLE), {**found.bundle, "data": data})
        # Whoever reads the values finds in them what is in force. If this is not reached, upgrades still do.
        if config is not None and (changed := _with_anchors(config, text)) is not None:
            await self.api.replace(self._path("configmaps", _CONFIG), changed)

    async def _replace_issuer(self, found: Look) -> str:
        key = self._kept(found, PRIVATE_KEY)
        if found.external or not key:
            return ""
        data = {
            **(found.issuer.get("data") or {}),
            CERTIFICATE_KEY: base64.b64encode(self._kept(found, CERTIFICATE_KEY)).decode(),
            PRIVATE_KEY: base64.b64encode(key).decode(),
        }
        await self.api.replace(self._path("secrets", ISSUER), {**found.issuer, "data": data})
        return f"the Secret {ISSUER} has the issuer below the new anchor"

    async def _restart_identity(self, found: Look) -> str:
        # One place is enough for a key.
        if found.rotation is not None and self._kept(found, PRIVATE_KEY):
            change = {"data": {PRIVATE_KEY: None}}
            await self.api.patch(self._path("secrets", ROTATION), change)
        annotations = {ISSUER_ANNOTATION: found.seen.issuer}
        done = [
            await self._annotate("deploy", _IDENTITY, self.namespace, annotations)
            for _ in found.next.waits_for[:1]
        ]
        return "the identity service is restarted" if any(done) else ""

    async def _restart_control_plane(self, found: Look) -> str:
        import hashlib

        digest = hashlib.sha256(found.bundle_text.encode()).hexdigest()
        done = [
            workload
            for workload in _workloads(found.next.waits_for)
            if await self._annotate(*workload, {TRUST_ROOT_ANNOTATION: digest})
        ]
        return f"restarted: {', '.join(f'{kind}/{name}' for kind, name, _ in done)}" if done else ""

    async def _restart_workloads(self, found: Look) -> str:
        if not self.restarts:
            return ""
        done = await self._restart_each(found, found.next.waits_for, for_anchors=True)
        return f"restarted: {', '.join(done)}" if done else ""

    async def _renew(self, found: Look) -> str:
        """A proxy that begins anew asks for a certificate at once. One that does not say what it presents may
        be one that has just begun.
        """
        if not self.restarts:
            return ""
        known = [proxy for proxy in found.next.waits_for if proxy.issuer is not None]
        annotations = {ISSUER_ANNOTATION: found.seen.issuer}
        done = [
            f"{kind}/{name} in {namespace}"
            for kind, name, namespace in _workloads([one for one in known if one.component])
            if await self._annotate(kind, name, namespace, annotations)
        ]
        others = [proxy for proxy in known if not proxy.component]
        done += await self._restart_each(found, others, for_anchors=False)
        return f"restarted: {', '.join(done)}" if done else ""

    async def _restart_each(
        self, found: Look, proxies: Sequence[Proxy], *, for_anchors: bool
    ) -> list[str]:
        """The workloads that were told to replace the pods of these proxies."""
        done = []
        now = datetime.fromtimestamp(SystemClock().wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for kind, name, namespace in _workloads(proxies):
            pods = [
                found.meshed(proxy)
                for proxy in proxies
                if (proxy.namespace, proxy.workload) == (namespace, f"{kind}/{name}")
            ]
            workload = await find(self.api, _workload_path(kind, name, namespace))
            # A template that has a proxy keeps it, with its anchors.
            if workload is None or (for_anchors and carries_proxy(workload)):
                continue
            if await self._restart(workload, (kind, name, namespace), pods, now=now):
                done.append(f"{kind}/{name} in {namespace}")
        return done

    async def _restart(
        self, workload: Json, named: tuple[str, str, str], pods: Sequence[Meshed], *, now: str
    ) -> bool:
        """Unless it is under way."""
        newest = _annotations(workload).get(RESTARTED_ANNOTATION, "")
        if all(pod.restarted != newest for pod in pods):
            return False
        return await self._annotate(*named, {RESTARTED_ANNOTATION: now})

    async def _annotate(self, kind: str, name: str, namespace: str, said: dict[str, str]) -> bool:
        """The pods of a template are replaced when something changes there; False where nothing does."""
        path = _workload_path(kind, name, namespace)
        workload = await find(self.api, path)
        if workload is None or said.items() <= _annotations(workload).items():
            return False
        template = {"template": {"metadata": {"annotations": said}}}
        await self.api.patch(path, {"spec": template}, form=_MERGE)
        return True

    async def _finish(self, found: Look) -> str:
        version = str((found.rotation or {})["metadata"]["resourceVersion"])
        await self.api.delete(self._path("secrets", ROTATION), version=version)
        return "the rotation is over: every proxy trusts the new anchor, and no other"

    def _kept(self, found: Look, key: str) -> bytes:
        return secret_value(found.rotation or {}, key)

    def _path(self, plural: str, name: str = "") -> str:
        path = f"/api/v1/namespaces/{self.namespace}/{plural}"
        return f"{path}/{name}" if name else path


def carries_proxy(workload: Json) -> bool:
    """Whether its template has a proxy with anchors of its own, as `inject --manual` writes it."""
    spec = workload.get("spec", {}).get("template", {}).get("spec", {})
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return any(one.get("name") == "linkerd-proxy" for one in containers)


def _workloads(proxies: Sequence[Proxy]) -> list[tuple[str, str, str]]:
    """Kind, name and namespace of what can be restarted, each once."""
    found = {(*proxy.workload.split("/", 1), proxy.namespace): None for proxy in proxies}
    return [(kind, name, namespace) for kind, name, namespace in found if kind in RESTARTABLE]


def _workload_path(kind: str, name: str, namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/{RESTARTABLE[kind]}/{name}"


def _annotations(workload: Json) -> dict[str, str]:
    template = workload.get("spec", {}).get("template", {})
    return dict(template.get("metadata", {}).get("annotations") or {})


def _made_elsewhere(config: Json) -> bool:
    values = _values(config)
    identity = values.get("identity")
    return isinstance(identity, dict) and bool(identity.get("externalCA"))


def _with_anchors(config: Json, text: str) -> Json | None:
    """None where there is nothing to be changed."""
    import yaml

    values = _values(config)
    if not values or values.get("identityTrustAnchorsPEM") in (None, text):
        return None
    changed = yaml.safe_dump({**values, "identityTrustAnchorsPEM": text}, allow_unicode=True)
    return {**config, "data": {**config["data"], "values": changed}}


def _values(config: Json) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load((config.get("data") or {}).get("values") or "")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
