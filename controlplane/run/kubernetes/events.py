"""What happens to the issuer, told to whoever looks at the cluster's events."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.events import LIMIT_S, event, events_path
from linkerd2_py.controlplane.identity.metrics import IssuerEvent
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi

logger = logging.getLogger(__name__)

COMPONENT: Final = "linkerd-identity"
"""As Linkerd calls the component, and the Deployment that its events are about."""


class IssuerEvents:
    """Events about the Deployment of the identity service, in its `namespace`."""

    def __init__(self, api: KubernetesApi, *, namespace: str, clock: Clock) -> None:
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._being_told: set[asyncio.Task[None]] = set()

    def tell(self, what: IssuerEvent, news: str) -> None:
        """Soon; if the API server takes it not, the log has it."""
        task = spawn(self._tell(what, news), name="issuer-event")
        self._being_told.add(task)
        task.add_done_callback(self._being_told.discard)

    async def told(self) -> None:
        """Wait until everything has been told, or could not be."""
        if self._being_told:
            await asyncio.wait(self._being_told)

    async def _tell(self, what: IssuerEvent, news: str) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                made = event(
                    str(what),
                    news,
                    about=await self._about(),
                    component=COMPONENT,
                    at=self._clock.wall(),
                    is_warning=what is not IssuerEvent.UPDATED,
                )
                await self._api.create(events_path(self._namespace), made)
        except (ApiError, TimeoutError) as error:
            logger.warning(
                "the event %s was not taken: %s", what, str(error) or "no answer in time"
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
