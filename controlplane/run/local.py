"""The embedded control plane: every component of a local mesh in one event loop, started and stopped together."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry, Counter

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import FAILURES, FAILURES_HELP, count_failures
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.identity.identity import Identity, IdentitySettings
from linkerd2_py.controlplane.listen import LOOPBACK, Listen
from linkerd2_py.controlplane.mesh.store import Registry
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import INTERVAL_S, Scraper
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import SERVICE
from linkerd2_py.controlplane.public_api.operations import Parts, operations
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.web import web_app

# For the self-check to ask the proxy-api how it is.
_HEALTH_TIMEOUT_S = 2.0


@dataclass(slots=True)
class EmbeddedControlPlane:
    """A running control plane: `proxy_api` is `host:port` (gRPC), `public_api` a URL without a path."""

    proxy_api: str
    public_api: str
    _identity: Identity | None
    _running: AsyncExitStack

    @property
    def anchors(self) -> bytes:
        """The trust anchors in force, in PEM, as a proxy that starts now is to have them; none where there is no identity."""
        return self._identity.authorities().bundle if self._identity else b""

    async def stop(self) -> None:
        """Stop all components, last started first. May be repeated."""
        await self._running.aclose()


async def build_embedded(
    registry: Registry,
    *,
    proxy_api: Listen = LOOPBACK,
    public_api: Listen = LOOPBACK,
    identity: IdentitySettings | None = None,
    scrape_interval_s: float = INTERVAL_S,
    further_checks: Callable[[], Sequence[CheckResult]] = tuple,
) -> EmbeddedControlPlane:
    """Start destination, identity if given, proxy-api, scraper and public-api over `registry`. `further_checks` are
    those of whoever fills the registry: they end the self-check.

    Raises `BindError` when an address cannot be listened on, `IssuerError` when the identity's files cannot be used;
    nothing is left running then.
    """
    async with AsyncExitStack() as starting:
        metrics = CollectorRegistry()
        failures = Counter(FAILURES, FAILURES_HELP, ("task",), registry=metrics)
        starting.callback(count_failures(lambda kind, more: failures.labels(kind).inc(more)))
        destination = Destination(registry, metrics=metrics)
        starting.callback(destination.close)
        certifying = Identity(identity, metrics=metrics) if identity else None
        if certifying:
            certifying.start()
            starting.push_async_callback(certifying.stop)
        grpc_server = ProxyApi(destination, identity=certifying.service if certifying else None)
        starting.push_async_callback(grpc_server.stop)
        with proxy_api.inside():
            grpc_server.bind(host=proxy_api.host, port=proxy_api.port)
        grpc_address = await grpc_server.start()

        samples, clock = SampleStore(), SystemClock()
        scraper = Scraper(registry, store=samples, interval_s=scrape_interval_s, clock=clock)
        scraper.start()
        starting.push_async_callback(scraper.stop)

        parts = Parts(
            registry=registry,
            destination=destination,
            metrics=EmbeddedStore(samples, clock=clock),
            reports=scraper,
            clock=clock,
            proxy_api_problem=lambda: health_problem(grpc_address),
            authorities=certifying.authorities if certifying else None,
            further_checks=further_checks,
        )
        web = WebServer(web_app(operations(parts), metrics=metrics))
        starting.push_async_callback(web.stop)
        web_address = await web.start(host=public_api.host, port=public_api.port)
        return EmbeddedControlPlane(
            grpc_address, f"http://{web_address}", certifying, starting.pop_all()
        )


async def health_problem(address: str) -> str:
    """Ask over the network, as proxies do; "" when Destination is served."""
    request = health_pb2.HealthCheckRequest(service=SERVICE)
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(request, timeout=_HEALTH_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return f"{address}: {error.details()}"
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        return f"{address}: does not serve {SERVICE}"
    return ""
