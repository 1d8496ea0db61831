"""What findings are made of: counts of one window, and the mesh as it is."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from linkerd2_py.base.names import CLUSTER_SUFFIX
from linkerd2_py.controlplane.hunt.changes import ChangedEndpoints
from linkerd2_py.controlplane.mesh.objects import Key, Pod, Service, WorkloadKey
from linkerd2_py.controlplane.mesh.store import Mesh


class Outcome(NamedTuple):
    """How requests ended: as a proxy classified them, by statuses, and by the error of the proxy itself."""

    is_failure: bool
    status: str = ""
    grpc_status: str = ""
    error: str = ""


class Answered(NamedTuple):
    """Requests that arrived at a pod, by the route that its profile names."""

    pod: Key
    outcome: Outcome
    times: float
    recent: float
    route: str = ""
    service: str = ""


class Called(NamedTuple):
    """Requests that a pod sent to an authority; `server` is empty where it reached none."""

    client: Key
    authority: str
    server: Key
    outcome: Outcome
    times: float
    recent: float


class Latency(NamedTuple):
    """Of what arrived at a pod, in milliseconds."""

    p50: float
    p95: float


class Refused(NamedTuple):
    """Requests or connections that a pod's policy turned away."""

    pod: Key
    server_kind: str
    server: str
    port: str
    client: str
    times: float


class Minute(NamedTuple):
    """What arrived at a pod in one window of the past."""

    well: float
    failed: float


@dataclass(frozen=True)
class Evidence:
    """All of one moment, `now` by the calendar. What no proxy tells is empty.

    `history` are earlier windows, the newest first, as far back as samples are kept. `resolved` are
    questions to DNS by their result, `opened` connections to ports of services, `guessed` those whose
    protocol was not known in time, `retries` the share of calls that proxies made again, `clocks` what
    proxies say the time is.
    """

    mesh: Mesh
    now: float
    window_s: float
    in_cluster: bool = False
    answered: Sequence[Answered] = ()
    by_route: Sequence[Answered] = ()
    called: Sequence[Called] = ()
    latencies: Mapping[Key, Latency] = field(default_factory=dict)
    refused: Sequence[Refused] = ()
    resolved: Mapping[Key, Mapping[str, float]] = field(default_factory=dict)
    opened: Mapping[tuple[Key, Key], float] = field(default_factory=dict)
    guessed: Mapping[tuple[Key, int], float] = field(default_factory=dict)
    retries: Mapping[tuple[Key, Key], float] = field(default_factory=dict)
    certificates: Mapping[Key, float] = field(default_factory=dict)
    trust_ends: float | None = None
    clocks: Mapping[Key, float] = field(default_factory=dict)
    silent: Mapping[Key, str] = field(default_factory=dict)
    history: Sequence[Mapping[Key, Minute]] = ()
    changes: Sequence[ChangedEndpoints] = ()

    def owner(self, pod: Key) -> WorkloadKey | None:
        """The workload of a pod that is there."""
        found = self.mesh.pods.get(pod)
        return found.owner_key if found else None

    def siblings(self, pod: Key) -> list[Pod]:
        """The pods of its workload, itself among them; alone where nobody owns it."""
        owner = self.owner(pod)
        if owner is not None:
            return self.mesh.pods_of(owner)
        found = self.mesh.pods.get(pod)
        return [found] if found else []

    def service(self, authority: str) -> Service | None:
        """The service that an authority names."""
        if authority not in self._named:
            self._named[authority] = self._service(authority)
        return self._named[authority]

    def _service(self, authority: str) -> Service | None:
        host = authority.rpartition(":")[0] or authority
        name, _, rest = host.partition(".")
        namespace, _, suffix = rest.partition(".")
        return self.mesh.services.get(Key(namespace, name)) if suffix == CLUSTER_SUFFIX else None

    def behind(self, service: Service) -> list[Pod]:
        """The pods that a service selects."""
        return self._behind[service.key]

    def calls_to(self, pods: Iterable[Pod]) -> Iterator[Called]:
        """The calls to services that any of these pods is behind."""
        services = {found.key for pod in pods for found in self.mesh.services_selecting(pod)}
        return (call for service in sorted(services) for call in self._calls.get(service, ()))

    def arrived(self, pod: Key) -> Minute:
        """What arrived at a pod in the window."""
        return self._arrived.get(pod, Minute(0.0, 0.0))

    def answers_of(self, pods: Iterable[Key]) -> Iterator[Answered]:
        """What arrived at any of these pods."""
        return (one for pod in pods for one in self._answers.get(pod, ()))

    def routes_of(self, pods: Iterable[Key]) -> Iterator[Answered]:
        """The same by route."""
        return (one for pod in pods for one in self._by_route.get(pod, ()))

    @cached_property
    def _named(self) -> dict[str, Service | None]:
        return {}

    @cached_property
    def _calls(self) -> Mapping[Key, list[Called]]:
        found: defaultdict[Key, list[Called]] = defaultdict(list)
        for call in self.called:
            service = self.service(call.authority)
            if service is not None:
                found[service.key].append(call)
        return found

    @cached_property
    def _answers(self) -> Mapping[Key, list[Answered]]:
        return _by_pod(self.answered)

    @cached_property
    def _by_route(self) -> Mapping[Key, list[Answered]]:
        return _by_pod(self.by_route)

    @cached_property
    def _arrived(self) -> Mapping[Key, Minute]:
        found: dict[Key, Minute] = {}
        for one in self.answered:
            well, failed = found.get(one.pod, Minute(0.0, 0.0))
            bad = one.times if one.outcome.is_failure else 0.0
            found[one.pod] = Minute(well + one.times - bad, failed + bad)
        return found

    @cached_property
    def _behind(self) -> Mapping[Key, list[Pod]]:
        found: defaultdict[Key, list[Pod]] = defaultdict(list)
        for _, pod in sorted(self.mesh.pods.items()):
            for service in self.mesh.services_selecting(pod):
                found[service.key].append(pod)
        return found


def _by_pod(answers: Iterable[Answered]) -> Mapping[Key, list[Answered]]:
    found: defaultdict[Key, list[Answered]] = defaultdict(list)
    for one in answers:
        found[one.pod].append(one)
    return found
