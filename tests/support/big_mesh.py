"""A mesh of hundreds of workloads, as its proxies would have told of it, served by the dashboard itself.

    python -m tests.support.big_mesh [WORKLOADS]

prints the URL of the page, and serves it until its standard input ends. Objects and samples are made up;
store, questions, answers and page are the real ones, and samples go on to come every two seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    Key,
    Namespace,
    Owner,
    Pod,
    PortSpec,
    Service,
    Workload,
)
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore, now_ms
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.metrics.store import Report
from linkerd2_py.controlplane.public_api.operations import Parts, operations
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.web import operation_routes
from linkerd2_py.controlplane.tap.events import Told
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.tap import User
from linkerd2_py.controlplane.web.app import Page, dashboard_app
from linkerd2_py.controlplane.web.tap import holder_of, websocket_route

TOKEN: Final = "big-mesh"  # of a test
HOSTILE: Final = "<img src=x onerror=alert(1)>"
"""What no cluster would take for a name, and a page must show as it is."""
NAMESPACES: Final = ("billing", "catalog", "checkout", "identity", "search", "shipping", "web")
REPLICAS: Final = 1
SCRAPE_S: Final = 2.0
PAST: Final = 15
"""Scrapes that were there before somebody looked."""
SEED: Final = 7
_WORDS: Final = (
    *("api", "cache", "cart", "feed", "gateway", "index", "invoice", "ledger", "mailer", "orders"),
    *(
        "payments",
        "pricing",
        "profile",
        "queue",
        "ranking",
        "reviews",
        "sessions",
        "stock",
        "tax",
        "users",
    ),
)


@dataclass(frozen=True)
class Part:
    """One workload: who it calls, how often it is called, and how often it fails."""

    namespace: str
    name: str
    calls: tuple[tuple[str, str], ...]
    rps: float
    failing: float
    latency_ms: float


def parts_of(count: int) -> list[Part]:
    """Whose names and figures are the same each time."""
    chance = random.Random(SEED)
    names = [
        (NAMESPACES[at % len(NAMESPACES)], f"{_WORDS[at // len(NAMESPACES) % 20]}-{at}")
        for at in range(count - 1)
    ]
    names.append((NAMESPACES[0], HOSTILE))
    made = []
    for at, (namespace, name) in enumerate(names):
        near = [one for one in names[at + 1 : at + 60] if one[0] == namespace][:4]
        failing = 0.2 if at % 67 == 11 else 0.03 if at % 41 == 5 else 0.0
        calls = tuple(chance.sample(near, min(len(near), 1 + at % 3)))
        made.append(
            Part(namespace, name, calls, chance.uniform(0.5, 90), failing, chance.uniform(1, 60))
        )
    return made


def filled(parts: list[Part]) -> MeshStore:
    """A store that has listed all of it."""
    store = MeshStore()
    pods = [
        Pod(
            part.namespace,
            f"{part.name}-{replica}",
            owner=Owner(DEPLOYMENT, part.name),
            ips=(f"10.{replica}.{at // 250}.{at % 250 + 1}",),
            labels={"app": part.name},
            ready=True,
            status="Running",
            meshed=True,
            identity=f"{part.name}.{part.namespace}.serviceaccount.identity.linkerd.cluster.local",
        )
        for at, part in enumerate(parts)
        for replica in range(REPLICAS)
    ]
    store.replace(
        {
            **dict.fromkeys(store.mesh.unsynced, ()),
            Namespace: [Namespace(name) for name in NAMESPACES],
            Workload: [Workload(DEPLOYMENT, part.namespace, part.name, REPLICAS) for part in parts],
            Service: [
                Service(
                    part.namespace,
                    f"{part.name}-svc",
                    (PortSpec("http", 80, 8080),),
                    selector={"app": part.name},
                )
                for part in parts
            ],
            Pod: pods,
            ServiceProfile: (),
        }
    )
    return store


class Samples:
    """What all proxies have counted until a moment, scrape by scrape."""

    def __init__(self, parts: list[Part], *, store: SampleStore) -> None:
        self._parts = parts
        self._store = store
        self._by_name = {(part.namespace, part.name): part for part in parts}

    async def add(self, scrape: int, *, at_ms: int) -> None:
        """As if every proxy had been read; others are answered meanwhile."""
        for part in self._parts:
            await asyncio.sleep(0)
            # A wave, so that charts show something.
            factor = 1 + 0.3 * math.sin(scrape / 9 + len(part.name))
            total = part.rps * scrape * SCRAPE_S * factor / 2
            text = "\n".join(
                itertools.chain(self._inbound(part, total), self._outbound(part, total))
            )
            for replica in range(REPLICAS):
                pod = f"{part.name}-{replica}"
                labels = {"namespace": part.namespace, "deployment": part.name, "pod": pod}
                self._store.append(
                    Key(part.namespace, pod), labels=labels, text=f"{text}\n", at_ms=at_ms
                )

    def _inbound(self, part: Part, total: float) -> Iterator[str]:
        yield from _requests('direction="inbound",tls="true"', part, total)
        yield 'tcp_open_connections{direction="inbound",peer="src",tls="true"} 3'
        yield "process_start_time_seconds 1"

    def _outbound(self, part: Part, total: float) -> Iterator[str]:
        for namespace, name in part.calls:
            host = f"{name}-svc.{namespace}.svc.cluster.local:80"
            tls = "false" if name.endswith("3") else "true"
            labels = (
                f'direction="outbound",dst_namespace="{namespace}",dst_deployment="{name}",'
                f'dst_service="{name}-svc",authority="{host}",tls="{tls}"'
            )
            yield from _requests(labels, self._by_name[namespace, name], total / len(part.calls))
            more = f'peer="dst",server_id="{name}.{namespace}.serviceaccount.identity.linkerd.cluster.local"'
            reason = "" if tls == "true" else ',no_tls_reason="not_provided_by_service_discovery"'
            yield f"tcp_open_connections{{{labels},{more}{reason}}} 2"


def _requests(labels: str, part: Part, total: float) -> Iterator[str]:
    failed = total * part.failing
    yield f'response_total{{{labels},classification="success"}} {total - failed}'
    yield f'response_total{{{labels},classification="failure"}} {failed}'
    for bound in (1, 10, 50, 200):
        share = 1 - math.exp(-bound / part.latency_ms)
        yield f'response_latency_ms_bucket{{{labels},le="{bound}"}} {total * share}'
    yield f'response_latency_ms_bucket{{{labels},le="+Inf"}} {total}'


class Reports:
    """All proxies are read."""

    interval_s = SCRAPE_S

    def __init__(self, store: MeshStore, metrics: EmbeddedStore) -> None:
        self._store = store
        self._metrics = metrics

    async def reports(self) -> Mapping[Key, Report]:
        now_s = self._metrics.now_ms() / 1000
        return {key: Report(last_success=now_s) for key in self._store.mesh.pods}


class MadeUpTap:
    """Calls of two methods, of which one always fails, and one that was named by somebody hostile."""

    async def watch(self, request: TapRequest, *, user: User) -> MadeUpWatch:
        """See `Tap`."""
        assert user.name
        return MadeUpWatch(request)


class MadeUpWatch:
    """See `Watch`."""

    def __init__(self, request: TapRequest) -> None:
        self._told = _calls(request)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        return await anext(self._told)

    async def within(self, seconds: float) -> Sequence[Told] | None:
        """See `Watch`: there is always something."""
        assert seconds
        return [await anext(self._told)]

    async def aclose(self) -> None:
        """See `Watch`."""
        await self._told.aclose()


async def _calls(request: TapRequest) -> AsyncGenerator[Told, None]:
    yield {"notice": "watching", "pods": 2, "troubles": []}
    paths = ("/shop.Cart/Add", "/shop.Cart/Remove", f"/{HOSTILE}")
    for number in itertools.count():
        path = paths[number % len(paths)]
        grpc = 13 if path.endswith("Remove") else 0
        peer = {"ip": "10.0.0.9", "port": 4000 + number, "metadata": {"pod": "gateway-0"}}
        server = {
            "ip": "10.0.0.1",
            "port": 8080,
            "metadata": {"pod": f"{request.name}-{number % 2}", "tls": "true"},
        }
        common = {
            "source": peer,
            "destination": server,
            "routeMeta": None,
            "proxyDirection": "INBOUND",
            "exchange": str(number),
            "proxy": {"namespace": request.namespace, "pod": f"{request.name}-0"},
        }
        stream = {"base": 0, "stream": number}
        begin = {
            "id": stream,
            "method": "POST",
            "scheme": "http",
            "authority": "cart",
            "path": path,
        }
        yield {**common, "requestInitEvent": {**begin, "headers": None}}  # type: ignore[misc]
        took = {"nanos": 3_000_000 + number % 7 * 1_000_000}
        end = {"id": stream, "sinceRequestInit": took, "responseBytes": 9, "ended": "grpc"}
        yield {**common, "responseEndEvent": {**end, "grpcStatusCode": grpc}}  # type: ignore[misc]
        await asyncio.sleep(0.05)


async def serve(workloads: int) -> None:
    """Until standard input ends."""
    parts, clock = parts_of(workloads), SystemClock()
    store, ring = filled(parts), SampleStore()
    samples = Samples(parts, store=ring)
    for scrape in range(PAST):
        at_ms = now_ms(clock) - int((PAST - scrape) * SCRAPE_S * 1000)
        await samples.add(scrape, at_ms=at_ms)
    metrics = EmbeddedStore(ring, clock=clock)
    made = Parts(
        mesh=store.mesh,
        destination=Destination(store, metrics=CollectorRegistry()),
        metrics=metrics,
        reports=Reports(store, metrics),
        clock=clock,
        proxy_api_problem=_no_problem,
    )
    app = dashboard_app(
        api=operation_routes(operations(made)),
        page=Page("local", grafana="http://grafana.example/"),
        further=[websocket_route(MadeUpTap(), admit=holder_of(TOKEN))],
    )
    server = WebServer(app, name="web", websockets=True)
    print(f"http://{await server.start()}", flush=True)
    going_on = asyncio.create_task(_go_on(samples, clock))  # noqa: TID251  # ends with the process
    await asyncio.to_thread(sys.stdin.read)
    going_on.cancel()
    await server.stop()


async def _go_on(samples: Samples, clock: SystemClock) -> None:
    for scrape in itertools.count(PAST):
        await asyncio.sleep(SCRAPE_S)
        await samples.add(scrape, at_ms=now_ms(clock))


async def _no_problem() -> str:
    return ""


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
