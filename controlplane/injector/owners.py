"""Who made a pod in the end, and in whose name events about it are told: asked of the API server, and
remembered.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any, Final, NamedTuple

from linkerd2_py.controlplane.injector.inject import Owner
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi
from linkerd2_py.controlplane.policy.admission.fields import Field, RefusedError

_MOST: Final = 4096
"""Owners that are remembered; an owner's owner does not change."""
_ASKED: Final = {
    "ReplicaSet": "apps/v1/namespaces/{}/replicasets/{}",
    "Job": "batch/v1/namespaces/{}/jobs/{}",
}
"""Those that others make."""
_MAKERS: Final = ("apps/", "batch/")

logger = logging.getLogger(__name__)


class Owned(NamedTuple):
    """The owner of a pod, and a reference to it; None for a pod that nobody made."""

    owner: Owner
    reference: Json | None


class Owners:
    """Of pods, one question for each ReplicaSet or Job that makes some."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        self._known: OrderedDict[tuple[str, str, str, str], Json] = OrderedDict()

    async def of(self, pod: Any, *, namespace: str) -> Owned:
        """Of a pod in `namespace`. What cannot be asked leaves the one that the pod itself names."""
        reference = _only_reference(pod)
        if reference is None:
            return Owned(Owner("pod", Field(pod)["metadata"]["name"].text()), None)
        if reference["kind"] in _ASKED:
            reference = await self._above(reference, namespace=namespace)
        return Owned(
            Owner(reference["kind"].lower(), reference["name"]),
            {**reference, "namespace": namespace},
        )

    async def _above(self, reference: Json, *, namespace: str) -> Json:
        key = (namespace, reference["kind"], reference["name"], reference["uid"])
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        path = "/apis/" + _ASKED[reference["kind"]].format(namespace, reference["name"])
        try:
            found = await self._api.get(path, {})
            above = _only_reference(found)
        except (ApiError, RefusedError) as error:
            logger.warning("cannot ask who made %s/%s: %s", namespace, reference["name"], error)
            return reference
        if above is None or not above["apiVersion"].startswith(_MAKERS):
            above = reference
        self._known[key] = above
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return above


def _only_reference(found: Any) -> Json | None:
    """To the one owner of an object; None for none, and for several, of whom none is the one."""
    references = list(Field(found)["metadata"]["ownerReferences"])
    if len(references) != 1:
        return None
    only = references[0]
    read = {name: only[name].text() for name in ("apiVersion", "kind", "name", "uid")}
    is_sound = all(read.values()) and not set("/?#%") & set(read["name"])
    return read if is_sound else None
