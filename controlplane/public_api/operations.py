"""The operations of the public API: path, parameters and answer of each. Knows no HTTP server."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from linkerd2_py import __version__
from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.targets import InvalidPathError
from linkerd2_py.controlplane.identity.authorities import Authorities
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Registry
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import Scraper
from linkerd2_py.controlplane.public_api import listings
from linkerd2_py.controlplane.public_api.certificates import certificates_of
from linkerd2_py.controlplane.public_api.edges import find_edges, parse_edge_kind
from linkerd2_py.controlplane.public_api.identity_checks import identity_checks
from linkerd2_py.controlplane.public_api.leaf_checks import leaf_checks
from linkerd2_py.controlplane.public_api.moment import Moment
from linkerd2_py.controlplane.public_api.parameters import Parameter
from linkerd2_py.controlplane.public_api.resources import InvalidQueryError
from linkerd2_py.controlplane.public_api.selfcheck import CheckResult, self_check
from linkerd2_py.controlplane.public_api.stat_query import parse_stat_query
from linkerd2_py.controlplane.public_api.stats import answer

Answer = dict[str, object]
NAMESPACE = Parameter("namespace", "only of this namespace; all when absent")


@dataclass(frozen=True, slots=True)
class Request:
    """Checked parameters: single values, and all values of those that may be repeated."""

    params: Mapping[str, str]
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One GET operation."""

    path: str
    summary: str
    # Name of the answer's schema in the OpenAPI document.
    schema: str
    run: Callable[[Request], Awaitable[Answer]]
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What answers are made from; `proxy_api_problem` gives "" when proxies are served.

    `authorities` are asked for with every question, for they change; None in a mesh without identities.
    """

    registry: Registry
    destination: Destination
    store: SampleStore
    scraper: Scraper
    clock: Clock
    proxy_api_problem: Callable[[], Awaitable[str]]
    authorities: Callable[[], Authorities] | None = None
    further_checks: Callable[[], Sequence[CheckResult]] = tuple


def operations(sources: Sources) -> tuple[Operation, ...]:
    """All operations over these sources."""
    answers = _Answers(sources)
    authority = Parameter("authority", "name:port, may be repeated", required=True, repeated=True)
    return (
        Operation(
            "/api/v1/version", "The version of the control plane", "Version", answers.version
        ),
        Operation("/api/v1/self-check", "Is the control plane well", "SelfCheck", answers.check),
        Operation("/api/v1/stat", "Success, rate, latency", "Stat", answers.stat, _STAT),
        Operation("/api/v1/edges", "Who is connected to whom", "Edges", answers.edges, _EDGES),
        Operation("/api/v1/pods", "The pods of the mesh", "Pods", answers.pods, (NAMESPACE,)),
        Operation("/api/v1/services", "The services", "Services", answers.services, (NAMESPACE,)),
        Operation(
            "/api/v1/deployments", "The workloads", "Deployments", answers.deployments, (NAMESPACE,)
        ),
        Operation(
            "/api/v1/endpoints",
            "What destination answers for authorities",
            "Endpoints",
            answers.endpoints,
            (authority,),
        ),
        Operation(
            "/api/v1/identity",
            "The certificates that proxies present",
            "Identity",
            answers.identity,
            _IDENTITY,
        ),
    )


_STAT = (
    Parameter("type", "deploy, po, ns, svc, au or all", required=True),
    Parameter("name", "only the thing of this name"),
    Parameter("namespace", "only of this namespace; all when absent"),
    Parameter("all_namespaces", "of every namespace", boolean=True),
    Parameter("to_type", "only traffic to things of this type"),
    Parameter("to_name", "only traffic to the thing of this name"),
    Parameter("to_namespace", "only traffic to things of this namespace"),
    Parameter("from_type", "only traffic from things of this type"),
    Parameter("from_name", "only traffic from the thing of this name"),
    Parameter("from_namespace", "only traffic from things of this namespace"),
    Parameter("window", "how far back, e.g. 30s or 1m (the default)"),
)


_EDGES = (
    Parameter("type", "between things of this type: deploy or po", required=True),
    Parameter("namespace", "only with an end in this namespace; all when absent"),
)


_IDENTITY = (
    Parameter("namespace", "of pods of this namespace", required=True),
    Parameter("pod", "only of the pod of this name; of all meshed ones when absent", repeated=True),
)


class _Answers:
    def __init__(self, sources: Sources) -> None:
        self._of = sources

    async def version(self, _request: Request) -> Answer:
        commit = os.environ.get("LINKERD2_PY_COMMIT", "")
        return {"version": __version__, "commit": commit}

    async def check(self, _request: Request) -> Answer:
        mesh, now = self._of.registry.mesh, Moment.of(self._of.clock)
        results = await self_check(
            mesh=mesh,
            scraper=self._of.scraper,
            now=now,
            proxy_api_problem=self._of.proxy_api_problem,
        )
        if self._of.authorities:
            authorities = self._of.authorities()
            results += identity_checks(authorities, now=now.wall)
            results += await leaf_checks(
                mesh, store=self._of.store, authorities=authorities, now=now
            )
        results += self._of.further_checks()
        return {"results": [result.as_json() for result in results]}

    async def stat(self, request: Request) -> Answer:
        store = self._of.store
        query = parse_stat_query(request.params, longest_window_s=store.retention_s)
        return answer(
            query, store=store, mesh=self._of.registry.mesh, now=Moment.of(self._of.clock)
        )

    async def edges(self, request: Request) -> Answer:
        kind = parse_edge_kind(request.params["type"])
        edges = find_edges(
            kind,
            namespace=request.params.get("namespace", ""),
            store=self._of.store,
            mesh=self._of.registry.mesh,
            now=Moment.of(self._of.clock),
        )
        return {"edges": [edge.as_json(kind) for edge in edges]}

    async def pods(self, request: Request) -> Answer:
        pods = listings.pods_json(
            self._of.registry.mesh,
            namespace=request.params.get("namespace", ""),
            scraper=self._of.scraper,
            store=self._of.store,
            now=Moment.of(self._of.clock),
        )
        return {"pods": pods}

    async def services(self, request: Request) -> Answer:
        namespace = request.params.get("namespace", "")
        return {"services": listings.services_json(self._of.registry.mesh, namespace=namespace)}

    async def deployments(self, request: Request) -> Answer:
        namespace, mesh = request.params.get("namespace", ""), self._of.registry.mesh
        return {"deployments": listings.deployments_json(mesh, namespace=namespace)}

    async def endpoints(self, request: Request) -> Answer:
        found: list[dict[str, object]] = []
        for authority in request.repeated["authority"]:
            try:
                found += listings.endpoints_json(self._of.destination, authority=authority)
            except InvalidPathError as error:
                raise InvalidQueryError(f"authority {authority[:80]!r}: {error}") from error
        return {"endpoints": found}

    async def identity(self, request: Request) -> Answer:
        namespace, mesh = request.params["namespace"], self._of.registry.mesh
        meshed = (pod.key for pod in mesh.pods.values() if pod.meshed)
        pods = [Key(namespace, name) for name in request.repeated["pod"]] or sorted(
            key for key in meshed if key.namespace == namespace
        )
        authorities = self._of.authorities() if self._of.authorities else None
        anchors = authorities.anchors if authorities else ()
        found = await certificates_of(pods, mesh=mesh, anchors=anchors)
        return {"pods": [presented.as_json() for presented in found]}
