"""AdmissionReviews of pods and services that are about to be made, and our answers."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from typing import Any, Final

from linkerd2_py.base.logs import printable
from linkerd2_py.controlplane.injector.counted import Counted
from linkerd2_py.controlplane.injector.inject import Injection, Mesh, Owner, admit
from linkerd2_py.controlplane.injector.owners import Owned, Owners
from linkerd2_py.controlplane.injector.told import INJECTED, SKIPPED, InjectionEvents
from linkerd2_py.controlplane.injector.workload import texts
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi
from linkerd2_py.controlplane.policy.admission.app import UnansweredError
from linkerd2_py.controlplane.policy.admission.fields import Field, RefusedError

VERSIONS: Final = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
_LIMIT_S: Final = 5.0
"""For what has to be asked; API servers wait ten seconds for us."""
_BAD_REQUEST, _INVALID = 400, 422
_NOBODY: Final = Owned(Owner("", ""), None)

logger = logging.getLogger(__name__)


class Webhook:
    """Answers for one control plane, as it is configured at the moment."""

    def __init__(
        self,
        api: KubernetesApi,
        *,
        mesh: Callable[[], Mesh],
        owners: Owners,
        events: InjectionEvents,
        counted: Counted,
    ) -> None:
        self._api = api
        self._mesh = mesh
        self._owners = owners
        self._events = events
        self._counted = counted

    async def answer(self, review: Any) -> Json:
        """The review with our answer. What is no review is refused with what is wrong.

        UnansweredError while nobody knows the namespace, or the control plane has no configuration.
        """
        version = VERSIONS[0]
        try:
            asked = Field(review)
            if asked["apiVersion"].value in VERSIONS:
                version = asked["apiVersion"].value
            request = asked["request"]
            uid = request["uid"].text()
            if not uid:
                request["uid"].refuse("must be said")
        except RefusedError as error:
            return _review("", version, refusal=str(error), code=_BAD_REQUEST)
        try:
            injection = await self._injection(request)
        except (RefusedError, RecursionError) as error:
            reason = printable(str(error) or "nested too deeply")
            logger.warning("refused %s: %s", _about(request), reason)
            return _review(uid, version, refusal=reason, code=_INVALID)
        return _review(uid, version, patch=injection.patch if injection else None)

    async def _injection(self, request: Field) -> Injection | None:
        kind = request["kind"]["kind"].text()
        is_ours = request["kind"]["group"].text() == "" and kind in ("Pod", "Service")
        if not is_ours or request["operation"].text() not in ("CREATE", ""):
            return None
        namespace = request["namespace"].text()
        found = request["object"].mapping()
        annotations = await self._annotations(namespace)
        owned = _NOBODY
        if kind == "Pod":
            owned = await self._owners.of(found, namespace=namespace)
        injection = admit(
            found,
            self._mesh(),
            kind=kind,
            namespace=namespace,
            annotations=annotations,
            owner=owned.owner,
        )
        self._record(injection, owned, namespace=namespace, is_pod=kind == "Pod")
        if kind == "Pod" and not request["dryRun"].is_true():
            self._tell(injection, owned)
        return injection

    async def _annotations(self, namespace: str) -> dict[str, str]:
        """As they are this moment: of a namespace that was annotated just now, too."""
        if not namespace or set("/?#%") & set(namespace):
            raise RefusedError("request.namespace: must be the name of a namespace")
        try:
            async with asyncio.timeout(_LIMIT_S):
                found = await self._api.get(f"/api/v1/namespaces/{namespace}", {})
        except (ApiError, TimeoutError) as error:
            words = f"namespace {namespace} cannot be read: {str(error) or 'no answer in time'}"
            logger.warning("%s", words)
            raise UnansweredError(words) from error
        return texts(Field(found)["metadata"]["annotations"])

    def _record(self, injection: Injection, owned: Owned, *, namespace: str, is_pod: bool) -> None:
        report = injection.report
        name = printable(report.resource)
        self._counted.asked(owned.owner, namespace, report)
        skipped = is_pod and not injection.patch
        self._counted.answered(owned.owner, namespace, report, skipped=skipped)
        for problem in injection.problems:
            logger.warning("%s in %s: %s", name, namespace, printable(problem))
        if report.is_injectable:
            logger.info("injected %s in %s", name, namespace)
        elif skipped:
            logger.info("skipped %s in %s: %s", name, namespace, report.said())

    def _tell(self, injection: Injection, owned: Owned) -> None:
        if owned.reference is None:
            return
        if injection.report.is_injectable:
            news = "Linkerd sidecar proxy injected"
            self._events.tell(INJECTED, news, about=owned.reference)
        else:
            news = f"Linkerd sidecar proxy injection skipped: {injection.report.said()}"
            self._events.tell(SKIPPED, news, about=owned.reference)


def _review(
    uid: str, version: str, *, patch: list[Json] | None = None, refusal: str = "", code: int = 0
) -> Json:
    answered: Json = {"uid": uid, "allowed": not refusal}
    if refusal:
        answered["status"] = {"code": code, "message": refusal}
    if patch:
        text = json.dumps(patch, separators=(",", ":"))
        answered |= {"patchType": "JSONPatch", "patch": base64.b64encode(text.encode()).decode()}
    return {"apiVersion": version, "kind": "AdmissionReview", "response": answered}


def _about(request: Field) -> str:
    kind, namespace = request["kind"].value, request["namespace"].value
    return printable(f"{kind if isinstance(kind, str) else 'an object'} in {namespace}"[:200])
