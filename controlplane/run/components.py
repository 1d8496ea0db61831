"""Every component of a control plane as a function from its parts to its service, which it stops at the
end of the block.

Whoever composes them decides which run together: all in one process for a local mesh, one each in a cluster.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.routing import BaseRoute

from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.settings import DEFAULTS, Settings
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.hunt.changes import RecentChanges
from linkerd2_py.controlplane.identity.identity import Identity, IdentitySettings
from linkerd2_py.controlplane.identity.service import METHOD as CERTIFY
from linkerd2_py.controlplane.identity.service import SERVICE as IDENTITY_SERVICE
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import Scraper
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.metrics.prometheus.api import PrometheusApi
from linkerd2_py.controlplane.metrics.prometheus.store import PrometheusReports, PrometheusStore
from linkerd2_py.controlplane.metrics.store import MetricsStore, ProxyReports
from linkerd2_py.controlplane.policy.admission.app import Answer, admission_app
from linkerd2_py.controlplane.policy.policy import Policy
from linkerd2_py.controlplane.policy.settings import Settings as PolicySettings
from linkerd2_py.controlplane.proxy_api.inbound import InboundService
from linkerd2_py.controlplane.proxy_api.outbound import OutboundService
from linkerd2_py.controlplane.proxy_api.relay.links import Links
from linkerd2_py.controlplane.proxy_api.relay.relay import Relay
from linkerd2_py.controlplane.proxy_api.relay.service import RelayedServices, passed_on
from linkerd2_py.controlplane.proxy_api.server import ProxyApi, Served
from linkerd2_py.controlplane.proxy_api.service import DestinationService
from linkerd2_py.controlplane.public_api.operations import Parts, operations
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.tls import TlsFiles
from linkerd2_py.controlplane.public_api.web import web_app
from linkerd2_py.controlplane.tap.proxies import Proxies
from linkerd2_py.controlplane.tap.service import Authorize, TapService, anybody
from linkerd2_py.controlplane.web.app import Page, dashboard_app
from linkerd2_py.controlplane.web.guard import LOCAL_HOSTS


@contextmanager
def serve_destination(
    store: MeshStore,
    *,
    metrics: CollectorRegistry,
    settings: Settings = DEFAULTS,
) -> Iterator[Destination]:
    """Answers for names and addresses."""
    destination = Destination(store, metrics=metrics, settings=settings)
    try:
        yield destination
    finally:
        destination.close()


@contextmanager
def serve_policy(
    store: MeshStore, *, settings: PolicySettings, metrics: CollectorRegistry
) -> Iterator[Policy]:
    """Answers for who may call a workload, and for how its own calls are treated."""
    policy = Policy(store, settings=settings, metrics=metrics)
    try:
        yield policy
    finally:
        policy.close()


@asynccontextmanager
async def serve_identity(
    settings: IdentitySettings, *, metrics: CollectorRegistry
) -> AsyncIterator[Identity]:
    """Certificates for workloads. IssuerError when its files cannot be used."""
    identity = Identity(settings, metrics=metrics)
    identity.start()
    try:
        yield identity
    finally:
        await identity.stop()


@asynccontextmanager
async def certified_by(
    identity: Identity, *, service_account: str = ""
) -> AsyncIterator[LocalIdentity]:
    """Who this control plane is to its proxies, where it ends their TLS itself; or who one part of it is."""
    own = identity.own_certificate(service_account)
    own.start()
    try:
        yield own.identity
    finally:
        await own.stop()


def what_proxies_ask(
    *,
    destination: Destination | None = None,
    policy: Policy | None = None,
    identity: Identity | None = None,
) -> list[Served]:
    """The services of a server for proxies, made from the parts that it has."""
    services = []
    if destination:
        services.append(DestinationService(destination).served())
    if policy:
        services.append(InboundService(policy.inbound).served())
        services.append(OutboundService(policy.outbound).served())
    if identity:
        services.append(Served(IDENTITY_SERVICE, identity.service.methods()))
    return services


@asynccontextmanager
async def relay_to(address: str, *, metrics: CollectorRegistry) -> AsyncIterator[RelayedServices]:
    """What proxies ask, answered by the destination at `address`."""
    overflow = Counter(
        "relay_updates_queue_overflow",
        "Streams that were ended because their proxy did not keep up",
        registry=metrics,
    )
    links = Links(address)
    relay = Relay(links, on_overflow=overflow.inc)
    for name, count in (("questions", lambda: relay.questions), ("streams", lambda: relay.streams)):
        words = f"Open {name} of this relay"
        Gauge(f"relay_{name}", words, registry=metrics).set_function(count)
    try:
        yield RelayedServices(relay, links=links)
    finally:
        relay.close()
        await links.close()


@asynccontextmanager
async def pass_on_certify(address: str) -> AsyncIterator[Served]:
    """Certificates from the identity service at `address`."""
    links = Links(address)
    try:
        methods = passed_on([f"/{IDENTITY_SERVICE}/{CERTIFY}"], links=links)
        yield Served(IDENTITY_SERVICE, methods)
    finally:
        await links.close()


@asynccontextmanager
async def serve_proxy_api(
    services: Sequence[Served],
    *,
    listen: Sequence[Listen],
    identity: LocalIdentity | None = None,
) -> AsyncIterator[Sequence[str]]:
    """Each `host:port` where proxies ask, over TLS for the name of `identity` where there is one. BindError
    when one cannot be listened on.
    """
    server = ProxyApi(services, identity=identity)
    try:
        for one in listen:
            with one.inside():
                server.bind(host=one.host, port=one.port, secured=one.secured)
        await server.start()
        yield server.addresses
    finally:
        await server.stop()


class Samples(NamedTuple):
    """Who answers questions about samples; `prometheus_problem` is None where this process keeps them."""

    metrics: MetricsStore
    reports: ProxyReports
    prometheus_problem: Callable[[], Awaitable[str]] | None = None


@asynccontextmanager
async def keep_samples(
    store: MeshStore, *, interval_s: float, clock: Clock
) -> AsyncIterator[Samples]:
    """Reads the metrics of every proxy into the memory of this process."""
    samples = SampleStore()
    scraper = Scraper(store, store=samples, interval_s=interval_s, clock=clock)
    scraper.start()
    try:
        yield Samples(EmbeddedStore(samples, clock=clock), scraper)
    finally:
        await scraper.stop()


@contextmanager
def follow_changes(store: MeshStore, *, clock: Clock) -> Iterator[RecentChanges]:
    """Remembers what a hunt for faults wants to know of the last minutes."""
    changes = RecentChanges(store, clock=clock)
    changes.start()
    try:
        yield changes
    finally:
        changes.stop()


@asynccontextmanager
async def ask_prometheus(
    url: str, *, store: MeshStore, interval_s: float, clock: Clock
) -> AsyncIterator[Samples]:
    """Leaves that to a Prometheus which scrapes so often. ValueError if `url` is none of one."""
    api = PrometheusApi(url)
    reports = PrometheusReports(api, mesh=store.mesh, clock=clock, interval_s=interval_s)
    try:
        yield Samples(PrometheusStore(api, clock=clock), reports, api.problem)
    finally:
        await api.close()


@asynccontextmanager
async def serve_webhook(
    answer: Answer, *, name: str, tls: TlsFiles, listen: Listen
) -> AsyncIterator[str]:
    """The URL where API servers ask about objects. BindError when it cannot be listened on, CertificateError
    when nobody could be answered.
    """
    server = WebServer(admission_app(answer), name=name, tls=tls)
    try:
        yield f"https://{await server.start(host=listen.host, port=listen.port)}/"
    finally:
        await server.stop()


@asynccontextmanager
async def serve_dashboard(
    *,
    api: Sequence[BaseRoute],
    page: Page,
    listen: Sequence[Listen],
    hosts: str = LOCAL_HOSTS,
    further: Sequence[BaseRoute] = (),
) -> AsyncIterator[str]:
    """The URL where browsers ask: the first of `listen` that nobody has taken. BindError when all are."""
    app = dashboard_app(api=api, page=page, hosts=hosts, further=further)
    server = WebServer(app, name="web", websockets=True)
    try:
        yield f"http://{await _start_at_first(server, listen)}"
    finally:
        await server.stop()


async def _start_at_first(server: WebServer, listen: Sequence[Listen]) -> str:
    *preferred, last = listen
    for one in preferred:
        with suppress(BindError):
            return await server.start(host=one.host, port=one.port)
    return await server.start(host=last.host, port=last.port)


@asynccontextmanager
async def serve_tap(
    store: MeshStore,
    *,
    metrics: CollectorRegistry,
    identity: LocalIdentity | None = None,
    authorize: Authorize = anybody,
) -> AsyncIterator[TapService]:
    """Live traffic: proxies are called as `identity`, or where there is none through a proxy of ours."""
    service = TapService(
        store, proxies=Proxies(identity=identity), authorize=authorize, metrics=metrics
    )
    service.start()
    try:
        yield service
    finally:
        await service.stop()


@asynccontextmanager
async def serve_public_api(
    parts: Parts,
    *,
    metrics: CollectorRegistry,
    listen: Listen,
    further: Sequence[BaseRoute] = (),
) -> AsyncIterator[str]:
    """The URL where people ask, also by `further` routes. BindError when it cannot be listened on."""
    server = WebServer(web_app(operations(parts), metrics=metrics, further=further))
    try:
        yield f"http://{await server.start(host=listen.host, port=listen.port)}"
    finally:
        await server.stop()
