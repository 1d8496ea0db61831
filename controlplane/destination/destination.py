"""The destination component: subscriptions to endpoints and profiles, with its metrics. Knows no gRPC."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from linkerd2_py.controlplane.destination.answers import (
    ANSWERED_FROM,
    EndpointsAnswer,
    ProfileAnswer,
)
from linkerd2_py.controlplane.destination.targets import (
    InvalidPathError,
    ServiceTarget,
    Target,
    parse_target,
)
from linkerd2_py.controlplane.destination.topics import topics_of
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.streams.watches import Watches


class Destination:
    """Answers about the mesh in `store`, until closed."""

    def __init__(self, store: MeshStore, *, metrics: CollectorRegistry) -> None:
        self._mesh = store.mesh
        self.endpoints: Watches[ServiceTarget] = Watches(
            store.mesh,
            name="destination",
            needs=ANSWERED_FROM,
            answer=lambda target, mesh: EndpointsAnswer(target, mesh=mesh),
            on_overflow=_overflows("endpoint", metrics=metrics).inc,
        )
        self.profiles: Watches[Target] = Watches(
            store.mesh,
            name="destination",
            needs=ANSWERED_FROM,
            answer=lambda target, mesh: ProfileAnswer(target, mesh=mesh),
            on_overflow=_overflows("profile", metrics=metrics).inc,
        )
        self._subscription = store.subscribe(self._on_changes)
        _count_streams(self.endpoints, name="endpoint", metrics=metrics)
        _count_streams(self.profiles, name="profile", metrics=metrics)

    @property
    def is_synced(self) -> bool:
        """Whether all that answers are made from has been listed."""
        return all(self._mesh.is_synced(kind) for kind in ANSWERED_FROM)

    async def synced(self) -> None:
        """Wait until it has: before that nobody knows what does not exist."""
        await self._mesh.synced(ANSWERED_FROM)

    def close(self) -> None:
        """Hear no more changes and end all streams. May be repeated."""
        self._subscription.close()
        self.endpoints.close()
        self.profiles.close()

    def _on_changes(self, changes: Sequence[Change]) -> None:
        touched = topics_of(changes, mesh=self._mesh)
        self.endpoints.touch(touched)
        self.profiles.touch(touched)


def endpoints_target(path: str) -> ServiceTarget:
    """What `Get` may be asked for: an address is an `InvalidPathError`, for it needs no discovery."""
    target = parse_target(path)
    if not isinstance(target, ServiceTarget):
        raise InvalidPathError("IP queries not supported by Get API: use GetProfile")
    return target


def _overflows(name: str, *, metrics: CollectorRegistry) -> Counter:
    return Counter(
        f"{name}_updates_queue_overflow",
        f"Streams of {name} updates that were ended because their proxy did not keep up",
        registry=metrics,
    )


def _count_streams(
    watches: "Watches[ServiceTarget] | Watches[Target]", *, name: str, metrics: CollectorRegistry
) -> None:
    streams = Gauge(f"{name}_subscribers", f"Open streams of {name} updates", registry=metrics)
    streams.set_function(lambda: watches.streams)
