"""The destination component: subscriptions to endpoints and profiles, with its metrics. Knows no gRPC."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.destination.answers import (
    ANSWERED_FROM,
    EndpointsAnswer,
    ProfileAnswer,
)
from linkerd2_py.controlplane.destination.questions import (
    EndpointsQuestion,
    ProfileQuestion,
    endpoints_question,
    profile_question,
)
from linkerd2_py.controlplane.destination.settings import DEFAULTS, Settings
from linkerd2_py.controlplane.destination.topics import topics_of
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.streams.answering import counted_watches
from linkerd2_py.controlplane.streams.watches import Watches


class Destination:
    """Answers about the mesh in `store`, until closed.

    Who asks makes a question of what it was given, and gives that to `endpoints` or `profiles`. Both raise
    `RefusedError` where there is no answer.
    """

    def __init__(
        self,
        store: MeshStore,
        *,
        metrics: CollectorRegistry,
        settings: Settings = DEFAULTS,
    ) -> None:
        self._mesh = store.mesh
        self.endpoints: Watches[EndpointsQuestion] = counted_watches(
            store.mesh,
            name="endpoint",
            needs=ANSWERED_FROM,
            answer=lambda asked, mesh: EndpointsAnswer(asked, mesh=mesh, settings=settings),
            metrics=metrics,
        )
        self.profiles: Watches[ProfileQuestion] = counted_watches(
            store.mesh,
            name="profile",
            needs=ANSWERED_FROM,
            answer=lambda asked, mesh: ProfileAnswer(asked, mesh=mesh, settings=settings),
            metrics=metrics,
        )
        self._subscription = store.subscribe(self._on_changes)

    @property
    def is_synced(self) -> bool:
        """Whether all that answers are made from has been listed."""
        return all(self._mesh.is_synced(kind) for kind in ANSWERED_FROM)

    async def synced(self) -> None:
        """Wait until it has: before that nobody knows what does not exist."""
        await self._mesh.synced(ANSWERED_FROM)

    def endpoints_question(
        self, path: str, token: str = "", *, prefers_near: bool = False
    ) -> EndpointsQuestion:
        """What `Get` asks for a path, by who says `token` of itself; best asked once `synced`."""
        return endpoints_question(path, token, prefers_near=prefers_near, mesh=self._mesh)

    def profile_question(self, path: str, token: str = "") -> ProfileQuestion:
        """What `GetProfile` asks."""
        return profile_question(path, token, mesh=self._mesh)

    def close(self) -> None:
        """Hear no more changes and end all streams. May be repeated."""
        self._subscription.close()
        self.endpoints.close()
        self.profiles.close()

    def _on_changes(self, changes: Sequence[Change]) -> None:
        touched = topics_of(changes, mesh=self._mesh)
        self.endpoints.touch(touched)
        self.profiles.touch(touched)
