"""A mesh as its supervisor would tell it: services and replicas, published by the local source."""

from collections.abc import Iterable

from linkerd2_py.controlplane.mesh.changes import OnChanges, Subscription
from linkerd2_py.controlplane.mesh.objects import Key, Workload
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.sources.local.source import LocalSource


class LocalMesh:
    """What a test says holds; its `store` is for the parts under test."""

    def __init__(self) -> None:
        self.store = MeshStore()
        self._source = LocalSource(self.store)
        self._services: dict[Key, ServiceSpec] = {}
        self._workloads: dict[tuple[str, ...], Workload] = {}
        self._replicas: dict[Key, Replica] = {}
        self._describe()

    @property
    def mesh(self) -> Mesh:
        """What was published of it."""
        return self.store.mesh

    def subscribe(self, on_changes: OnChanges) -> Subscription:
        """Hear of what is published from now on."""
        return self.store.subscribe(on_changes)

    def apply(
        self,
        *,
        services: Iterable[ServiceSpec] | None = None,
        deployments: Iterable[Workload] | None = None,
        pods: Iterable[Replica] | None = None,
    ) -> None:
        """Exactly these of each kind that is given."""
        if services is not None:
            self._services = {one.key: one for one in services}
        if deployments is not None:
            self._workloads = {one.key: one for one in deployments}
        self._describe()
        if pods is not None:
            wanted = {one.key: one for one in pods}
            for replica in wanted.values():
                self.put(replica)
            for key in [key for key in self._replicas if key not in wanted]:
                self.remove(self._replicas[key])

    def put(self, thing: ServiceSpec | Workload | Replica) -> None:
        """One more, or another of its name."""
        if isinstance(thing, Replica):
            self._replicas[thing.key] = thing
            self._source.put(thing)
        elif isinstance(thing, ServiceSpec):
            self._services[thing.key] = thing
            self._describe()
        else:
            self._workloads[thing.key] = thing
            self._describe()

    def remove(self, thing: ServiceSpec | Replica) -> None:
        """One less."""
        if isinstance(thing, Replica):
            del self._replicas[thing.key]
            self._source.remove(thing)
        else:
            del self._services[thing.key]
            self._describe()

    def _describe(self) -> None:
        self._source.describe(services=self._services.values(), workloads=self._workloads.values())
