"""Pods of this node that came up before it was ready, and whose validator said so, are deleted: whoever owns
them makes new ones, which get their rules.

A pod that nobody owns would be lost for good: it is left, with an event that says what to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Protocol

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.cni import fields
from linkerd2_py.controlplane.cni.fields import text
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi

logger = logging.getLogger(__name__)

VALIDATOR: Final = "linkerd-network-validator"
DATA_PLANE: Final = "linkerd.io/control-plane-ns"
"""The label of every pod that has a proxy."""
NO_RULES: Final = 95
"""With what the validator ends where its connection was not redirected."""
CONTROLLER: Final = "linkerd-cni-repair-controller"
REASON: Final = "LinkerdCNINotConfigured"
_MIRROR: Final = "kubernetes.io/config.mirror"
_ENDED: Final = frozenset({"Succeeded", "Failed"})
_PAUSE_S: Final = 1.0
_LIMIT_S: Final = 10.0


class Count(Protocol):
    """A counter."""

    def inc(self) -> None:
        """One more."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of pods and of the events about them."""

    deleted: Count
    delete_errors: Count
    event_errors: Count


@dataclass(frozen=True, slots=True)
class Pod:
    """What is kept of a pod."""

    namespace: str
    name: str
    uid: str
    lacks_rules: bool
    is_owned: bool


class Repair:
    """Hears of this node's pods (a `Sink`), and repairs them one after another while `run` runs.

    `is_ready` says whether a new pod would get its rules: before that none is deleted. `reporter` is
    our own pod's name.
    """

    def __init__(
        self,
        api: KubernetesApi,
        *,
        reporter: str,
        clock: Clock,
        counts: Counts,
        is_ready: Callable[[], bool],
    ) -> None:
        self._api = api
        self._reporter = reporter
        self._clock = clock
        self._counts = counts
        self._is_ready = is_ready
        self._broken: dict[str, Pod] = {}
        self._told: set[str] = set()
        self._news = asyncio.Event()

    def read(self, found: Json) -> Pod:
        """See `Sink`."""
        owners = fields.objects(found, "metadata", "ownerReferences")
        is_picture = _MIRROR in fields.texts(found, "metadata", "annotations")
        return Pod(
            namespace=text(found, "metadata", "namespace"),
            name=text(found, "metadata", "name"),
            uid=text(found, "metadata", "uid"),
            lacks_rules=_lacks_rules(found),
            is_owned=not is_picture and any(one.get("controller") is True for one in owners),
        )

    def replace(self, objects: Sequence[Pod]) -> None:
        """See `Sink`."""
        self._broken = {pod.uid: pod for pod in objects if pod.lacks_rules}
        self._told &= {pod.uid for pod in objects}
        self._news.set()

    def put(self, found: Pod) -> None:
        """See `Sink`."""
        if found.lacks_rules:
            self._broken[found.uid] = found
            self._news.set()
        else:
            self._broken.pop(found.uid, None)

    def remove(self, found: Pod) -> None:
        """See `Sink`."""
        self._broken.pop(found.uid, None)
        self._told.discard(found.uid)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            if self._is_ready():
                self._news.clear()
                for pod in list(self._broken.values()):
                    if not await self._repair(pod):
                        self._news.set()
            await asyncio.sleep(_PAUSE_S)

    async def _repair(self, pod: Pod) -> bool:
        """Whether nothing is left to be done. A pod that was deleted is heard of no more."""
        if not pod.is_owned:
            if pod.uid not in self._told:
                if not await self._tell(pod, _LEFT, kind="Warning", action="Waiting"):
                    return False
                self._told.add(pod.uid)
            return True
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._api.delete(path, uid=pod.uid, grace_s=0)
        except (ApiError, TimeoutError) as error:
            # Gone, or another pod of this name: somebody was faster.
            is_gone = isinstance(error, ApiError) and error.status in _GONE
            if not is_gone:
                self._counts.delete_errors.inc()
                logger.warning("%s/%s: cannot be deleted: %s", pod.namespace, pod.name, error)
            return is_gone
        self._broken.pop(pod.uid, None)
        self._counts.deleted.inc()
        logger.info("%s/%s: deleted, for it has no rules", pod.namespace, pod.name)
        await self._tell(pod, _DELETED, kind="Normal", action="Deleting")
        return True

    async def _tell(self, pod: Pod, note: str, *, kind: str, action: str) -> bool:
        """Whether the API server took it."""
        now = self._clock.wall()
        name = f"{pod.name[:200].rstrip('-.')}.{int(now * 1e6):x}"
        event: Json = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": pod.namespace},
            "eventTime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._reporter,
            "action": action,
            "reason": REASON,
            "type": kind,
            "note": note,
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": pod.namespace,
                "name": pod.name,
                "uid": pod.uid,
            },
        }
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._api.create(
                    f"/apis/events.k8s.io/v1/namespaces/{pod.namespace}/events", event
                )
        except (ApiError, TimeoutError) as error:
            self._counts.event_errors.inc()
            logger.warning(
                "the event about %s/%s was not taken: %s", pod.namespace, pod.name, error
            )
            return False
        return True


_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})
_DELETED: Final = "Deleting pod to create a new one with proper CNI config"
_LEFT: Final = (
    "The pod started before this node's CNI plugin was ready and has no rules; nothing owns it, so it is not "
    "deleted: delete it and create it again"
)


def _lacks_rules(pod: Json) -> bool:
    if text(pod, "metadata", "deletionTimestamp") or text(pod, "status", "phase") in _ENDED:
        return False
    return any(
        fields.field(one, state, "terminated", "exitCode") == NO_RULES
        for one in fields.objects(pod, "status", "initContainerStatuses")
        if text(one, "name") == VALIDATOR
        for state in ("state", "lastState")
    )
