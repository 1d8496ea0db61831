"""The embedded control plane: every component of a local mesh in one event loop, started and stopped
together."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tap import SERVICE_ACCOUNT
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.identity.identity import Identity, IdentitySettings
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.listen import LOOPBACK, Listen
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.metrics.embedded.scraper import INTERVAL_S
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.settings import Settings as PolicySettings
from linkerd2_py.controlplane.public_api.operations import Parts, operations
from linkerd2_py.controlplane.public_api.web import operation_routes
from linkerd2_py.controlplane.run.components import (
    ask_prometheus,
    certified_by,
    follow_changes,
    keep_samples,
    serve_dashboard,
    serve_destination,
    serve_identity,
    serve_policy,
    serve_proxy_api,
    serve_public_api,
    serve_tap,
    what_proxies_ask,
)
from linkerd2_py.controlplane.run.health import health_problem
from linkerd2_py.controlplane.run.own_metrics import own_metrics
from linkerd2_py.controlplane.tap.door import tap_route
from linkerd2_py.controlplane.tap.service import TapService
from linkerd2_py.controlplane.web.app import Page
from linkerd2_py.controlplane.web.tap import holder_of, websocket_route


@dataclass(slots=True)
class EmbeddedControlPlane:
    """A running control plane: `tap` tells what passes; `proxy_api` is `host:port` (gRPC) where proxies ask,
    `local_api` where programs of this machine ask the same in plain text; `public_api` and `dashboard` are
    URLs without a path.
    """

    proxy_api: str
    local_api: str
    public_api: str
    dashboard: str
    tap: TapService
    _identity: Identity | None
    _running: AsyncExitStack

    @property
    def anchors(self) -> bytes:
        """The trust anchors in force, in PEM, as a proxy that starts now is to have them; none where
        there is no identity.
        """
        return self._identity.trust().bundle if self._identity else b""

    async def stop(self) -> None:
        """Stop all components, last started first. May be repeated."""
        await self._running.aclose()


async def build_embedded(
    store: MeshStore,
    *,
    proxy_api: Listen = LOOPBACK,
    public_api: Listen = LOOPBACK,
    networks: Sequence[str] = (),
    identity: IdentitySettings | None = None,
    tap_token: str = "",
    scrape_interval_s: float = INTERVAL_S,
    prometheus: str = "",
    further_checks: Callable[[], Sequence[CheckResult]] = tuple,
    dashboard: Sequence[Listen] = (LOOPBACK,),
) -> EmbeddedControlPlane:
    """Start destination, policy, identity if given, proxy-api, scraper, tap, public-api and web over
    `store`, for pods in `networks`. Where the URL of a Prometheus is given, that scrapes. Who has
    `tap_token` may watch what passes through proxies; nobody may without one. `further_checks` are those of
    whoever fills that store: they end the self-check. `dashboard` is where a browser asks: the first that
    is free.

    Raises `BindError` when an address cannot be listened on, `IssuerError` when the identity's files
    cannot be used; nothing is left running then.
    """
    clock = SystemClock()
    async with AsyncExitStack() as starting:
        running = starting.enter_async_context
        metrics = starting.enter_context(own_metrics())
        asked = await _serve_proxies(
            starting,
            store,
            listen=proxy_api,
            networks=networks,
            identity=identity,
            metrics=metrics,
        )
        samples = await running(
            ask_prometheus(prometheus, store=store, interval_s=scrape_interval_s, clock=clock)
            if prometheus
            else keep_samples(store, interval_s=scrape_interval_s, clock=clock)
        )
        changes = starting.enter_context(follow_changes(store, clock=clock))
        parts = Parts(
            mesh=store.mesh,
            destination=asked.destination,
            metrics=samples.metrics,
            reports=samples.reports,
            prometheus_problem=samples.prometheus_problem,
            clock=clock,
            proxy_api_problem=partial(health_problem, asked.local_api),
            trust=asked.identity.trust if asked.identity else None,
            further_checks=further_checks,
            changes=lambda: changes.kept,
        )
        tap = await _watch_proxies(starting, store, identity=asked.identity, metrics=metrics)
        people_ask = await running(
            serve_public_api(
                parts,
                metrics=metrics,
                listen=public_api,
                further=[tap_route(tap, token=tap_token)],
            )
        )
        browsers_ask = await running(
            serve_dashboard(
                api=operation_routes(operations(parts)),
                page=Page("local"),
                listen=dashboard,
                further=[websocket_route(tap, admit=holder_of(tap_token))],
            )
        )
        # Else those who watch would be waited for.
        starting.push_async_callback(tap.stop)
        return EmbeddedControlPlane(
            asked.proxy_api,
            asked.local_api,
            people_ask,
            browsers_ask,
            tap,
            asked.identity,
            starting.pop_all(),
        )


class _ProxiesAsk(NamedTuple):
    """Who answers proxies, and where they and programs of this machine ask."""

    destination: Destination
    identity: Identity | None
    proxy_api: str
    local_api: str


async def _serve_proxies(
    starting: AsyncExitStack,
    store: MeshStore,
    *,
    listen: Listen,
    networks: Sequence[str],
    identity: IdentitySettings | None,
    metrics: CollectorRegistry,
) -> _ProxiesAsk:
    running = starting.enter_async_context
    destination = starting.enter_context(serve_destination(store, metrics=metrics))
    policy = starting.enter_context(
        serve_policy(store, settings=_policy_settings(networks, identity), metrics=metrics)
    )
    certifying = await running(serve_identity(identity, metrics=metrics)) if identity else None
    own = await running(certified_by(certifying)) if certifying else None
    addresses = await running(
        serve_proxy_api(
            what_proxies_ask(destination=destination, policy=policy, identity=certifying),
            listen=[listen, LOOPBACK] if listen.secured else [listen],
            identity=own,
        )
    )
    return _ProxiesAsk(destination, certifying, addresses[0], addresses[-1])


async def _watch_proxies(
    starting: AsyncExitStack,
    store: MeshStore,
    *,
    identity: Identity | None,
    metrics: CollectorRegistry,
) -> TapService:
    """As the account that proxies let watch them."""
    running = starting.enter_async_context
    own = (
        await running(certified_by(identity, service_account=SERVICE_ACCOUNT)) if identity else None
    )
    return await running(serve_tap(store, metrics=metrics, identity=own))


def _policy_settings(networks: Sequence[str], identity: IdentitySettings | None) -> PolicySettings:
    cluster = Cluster(networks=tuple(map(ip_network, networks))) if networks else Cluster()
    domain = identity.trust_domain if identity else TrustDomain()
    return PolicySettings(
        cluster=cluster,
        control_plane_namespace=domain.control_namespace,
        identity_domain=domain.name,
    )
