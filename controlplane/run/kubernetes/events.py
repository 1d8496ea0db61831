"""What happens to the issuer, told to whoever looks at the cluster's events."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.identity.metrics import IssuerEvent
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi

logger = logging.getLogger(__name__)

COMPONENT: Final = "linkerd-identity"
"""As Linkerd calls the component, and the Deployment that its events are about."""
_LIMIT_S: Final = 5.0
# What an API server takes.
_LONGEST: Final = 1024


class IssuerEvents:
    """Events about the Deployment of the identity service, in its `namespace`."""

    def __init__(self, api: KubernetesApi, *, namespace: str, clock: Clock) -> None:
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._being_told: set[asyncio.Task[None]] = set()

    def tell(self, event: IssuerEvent, news: str) -> None:
        """Soon; if the API server takes it not, the log has it."""
        task = spawn(self._tell(event, news), name="issuer-event")
        self._being_told.add(task)
        task.add_done_callback(self._being_told.discard)

    async def told(self) -> None:
        """Wait until everything has been told, or could not be."""
        if self._being_told:
            await asyncio.wait(self._being_told)

    async def _tell(self, event: IssuerEvent, news: str) -> None:
        try:
            async with asyncio.timeout(_LIMIT_S):
                made = self._event(event, news, about=await self._about())
                await self._api.create(f"/api/v1/namespaces/{self._namespace}/events", made)
        except (ApiError, TimeoutError) as error:
            logger.warning(
                "the event %s was not taken: %s", event, str(error) or "no answer in time"
            )

    async def _about(self) -> Json:
        """The Deployment; kubectl finds its events by its uid."""
        about: Json = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": self._namespace,
            "name": COMPONENT,
        }
        path = f"/apis/apps/v1/namespaces/{self._namespace}/deployments/{COMPONENT}"
        try:
            found = await self._api.get(path, {})
            return {**about, "uid": found["metadata"]["uid"]}
        except (ApiError, KeyError, TypeError):
            return about

    def _event(self, event: IssuerEvent, news: str, *, about: Json) -> Json:
        now = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{COMPONENT}.", "namespace": self._namespace},
            "involvedObject": about,
            "type": "Normal" if event is IssuerEvent.UPDATED else "Warning",
            "reason": str(event),
            "message": news[:_LONGEST],
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
