"""The composition root: the only place that constructs the proxy's parts. `build` reads as the path of a
connection: where it comes in, what its target is, who serves it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from linkerd2_py import __version__
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Actor, Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.local import LocalClient, LocalServer
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target import (
    DISABLED,
    NO_TLS,
    NOT_FROM_REMOTE,
    Target,
    TargetTable,
)
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import (
    FAILURES,
    FAILURES_HELP,
    cancel_all,
    count_failures,
    spawn,
    supervise,
)
from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.admin import Admin, Admission, own_names
from linkerd2_py.proxy.backoff import backoff_maker
from linkerd2_py.proxy.config.types import Config, Side
from linkerd2_py.proxy.discovery.resolver import Resolver
from linkerd2_py.proxy.discovery.sources import Sources
from linkerd2_py.proxy.discovery.translate import Labels
from linkerd2_py.proxy.dns.resolver import Resolver as DnsResolver
from linkerd2_py.proxy.dns.settings import Hosts, ResolvConf
from linkerd2_py.proxy.dns.watch import TtlBounds
from linkerd2_py.proxy.drain import drain
from linkerd2_py.proxy.event_loop import leave, run_inside
from linkerd2_py.proxy.grpc.client import GrpcClient
from linkerd2_py.proxy.identity.certify import Certifier
from linkerd2_py.proxy.identity.failures import handshake_log
from linkerd2_py.proxy.identity.renewal import Bounds, Metrics, Renewal
from linkerd2_py.proxy.inbound import InboundTargets
from linkerd2_py.proxy.inbound_policy import InboundPolicies
from linkerd2_py.proxy.listeners import Listening, exhaustion_log, listen
from linkerd2_py.proxy.log_level import LogLevel
from linkerd2_py.proxy.settings import (
    CONTROL_BACKOFF,
    admin_limits,
    control_pool_settings,
    limits,
    ns,
    pool_settings,
    socket_options,
)

logger = logging.getLogger(__name__)

# Of a loop that is closed: what was put off is done, but not for ever.
_LAST_WORK_S: Final = 1.0

Authorize = Callable[[Client, Address | None, int], Permission]


class Proxy:
    """A built proxy. Whoever built it calls `run`, then `close`."""

    def __init__(self, config: Config, engine: Loop) -> None:
        self.config = config
        self.engine = engine
        self.identity = (
            None if config.identity is None else LocalIdentity(config.identity.local_name)
        )
        self.renewal: Renewal | None = None
        self.listening = Listening()
        self.tables: list[TargetTable] = []
        self.servers: list[ProxyServer] = []
        self.resolvers: list[Resolver] = []
        self.closers: list[Callable[[], None]] = []
        self.ready = False
        self.ending = asyncio.Event()

    def shut_down(self) -> None:
        """Ask for the orderly end; asking again changes nothing."""
        self.ending.set()

    async def run(self) -> None:
        """Serve until asked to end, then drain and stop asking the control plane."""
        loop = asyncio.get_running_loop()
        run_inside(self.engine, loop)
        logger.info("listening %s", self.listening)
        renewing = self._renew()
        try:
            await self._certified()
            self._serve()
            await self.ending.wait()
            self.ready = False
            await self._drain()
        finally:
            await cancel_all(renewing)
            # From here on nothing happens in the engine by itself: only what is closed below.
            leave(self.engine, loop)
            for resolver in self.resolvers:
                resolver.close()
            for resolver in self.resolvers:
                await resolver.settled()

    def _renew(self) -> list[asyncio.Task[None]]:
        """Begin to ask for certificates, where this proxy has an identity."""
        if self.renewal is None:
            return []
        return [
            supervise(self.renewal.run, name="identity"),
            supervise(self.renewal.warn, name="identity-warning"),
        ]

    async def _certified(self) -> None:
        """Nothing is served before there is something to prove ourselves with; whoever connects waits in the kernel."""
        if self.renewal is None:
            return
        waits = [
            spawn(self.renewal.certified.wait(), name="first-certificate"),
            spawn(self.ending.wait(), name="ending"),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        await cancel_all(waits)

    def _serve(self) -> None:
        """Take who waits, and who comes; not when the end came first: drained, a held listener resets them."""
        if self.ending.is_set():
            return
        for server in self.servers:
            server.start()
        self.ready = True

    async def _drain(self) -> None:
        logger.info("draining for up to %g s", self.config.shutdown_grace_s)
        await drain(self.servers, grace_s=self.config.shutdown_grace_s, clock=SystemClock())
        logger.info("drained")

    def close(self) -> None:
        """Give everything back. Idempotent."""
        while self.closers:
            self.closers.pop()()


def build(config: Config, *, log_level: LogLevel) -> Proxy:
    """Build the proxy on the running loop and bind its listeners.

    ListenError when one is taken, IdentityError when a file of its identity cannot be read.
    """
    engine = Loop(io_uring=config.io_uring, busy_wait=config.busy_wait)
    proxy = Proxy(config, engine)
    proxy.closers.append(partial(_close_engine, engine, loop=asyncio.get_running_loop()))
    engine.on_error = _on_engine_error
    registry = Registry(retain_idle_ns=ns(config.metrics_retain_idle_s))
    registry.info("proxy_build_info", "The version of this proxy.", {"version": __version__})
    proxy.closers.append(count_failures(partial(_count_failures, registry)))
    try:
        _build_admin(proxy, registry=registry, log_level=log_level)
        sources = _build_sources(proxy, registry=registry)
        _build_identity(proxy, sources, registry=registry)
        _build_inbound(proxy, registry=registry)
        _build_outbound(proxy, _with_control(proxy, sources, registry=registry), registry=registry)
    except BaseException:
        proxy.close()
        raise
    return proxy


def _build_inbound(proxy: Proxy, *, registry: Registry) -> None:
    """From the world to the workload."""
    config, side = proxy.config, proxy.config.inbound
    targets = InboundTargets(
        own_ips=config.inbound_ips,
        opaque_ports=side.opaque_ports,
        leads_back=proxy.listening.is_ours,
    )
    table = TargetTable(
        proxy.engine,
        registry,
        direction="inbound",
        settings=pool_settings(side, config.balancing),
        on_unknown_target=lambda target: targets.on_unknown_target(target, table=table),
        on_idle_target=lambda target: targets.on_idle_target(target, table=table),
        idle_ns=ns(side.discovery_idle_s),
    )
    proxy.tables.append(table)
    proxy.closers.append(table.close)
    authorize = _authorize(proxy, targets, registry=registry)
    server = _server(proxy, table, side=side, target=None, authorize=authorize)
    for address in side.listen:
        proxy.listening.inbound.append(
            _bind(server, address, side=side, name="INBOUND_LISTEN_ADDR")
        )
    for port in config.inbound_static:
        target = table.install(str(port.workload).encode())
        targets.adopt(target, workload=port.workload, opaque=port.opaque, http=port.http)
        server = _server(
            proxy, table, side=side, target=target, opaque=port.opaque, authorize=authorize
        )
        bound = _bind(server, port.listen, side=side, name="INBOUND_STATIC_PORTS")
        targets.listens(port, at=bound)
        proxy.listening.inbound_static.append((bound, str(port.workload)))


def _authorize(proxy: Proxy, targets: InboundTargets, *, registry: Registry) -> Authorize:
    """Policy, which knows the workload's own ports only."""
    policies = InboundPolicies(proxy.config.inbound_policy, registry=registry)
    return lambda client, peer, port: policies.permission(client, peer, targets.port_of(port))


def _build_outbound(proxy: Proxy, sources: Sources, *, registry: Registry) -> None:
    """From the workload to the world."""
    config, side = proxy.config, proxy.config.outbound
    resolver = Resolver(sources)
    table = TargetTable(
        proxy.engine,
        registry,
        direction="outbound",
        settings=pool_settings(side, config.balancing),
        on_unknown_target=lambda target: resolver.on_unknown_target(target, table=table),
        on_idle_target=lambda target: resolver.on_idle_target(target, table=table),
        idle_ns=ns(side.discovery_idle_s),
        identity=proxy.identity,
    )
    proxy.tables.append(table)
    proxy.closers.append(table.close)
    proxy.resolvers.append(resolver)
    proxy.closers.append(resolver.close)
    server = _server(proxy, table, side=side, target=None)
    name = "OUTBOUND_LISTEN_ADDRS" if len(side.listen) > 1 else "OUTBOUND_LISTEN_ADDR"
    for address in side.listen:
        proxy.listening.outbound.append(_bind(server, address, side=side, name=name))
    for port in config.outbound_static:
        target = table.install(str(port.target).encode())
        server = _server(proxy, table, side=side, target=target)
        bound = _bind(server, port.listen, side=side, name="OUTBOUND_STATIC_PORTS")
        proxy.listening.outbound_static.append((bound, str(port.target)))
    for port in config.outbound_static:
        resolver.adopt(table.install(str(port.target).encode()))


def _build_sources(proxy: Proxy, *, registry: Registry) -> Sources:
    """Whom discovery may ask, the control plane left out: it is found with these."""
    config = proxy.config
    clock = SystemClock()
    skipped = registry.counter(
        "control_destination_skipped_addresses_total",
        "Addresses from the control plane that cannot be connected to.",
    )
    return Sources(
        client=None,
        rules=config.destination,
        resolver=_build_dns(config, registry=registry),
        ttl=TtlBounds(min_s=config.dns.min_ttl_s, max_s=config.dns.max_ttl_s),
        make_backoff=backoff_maker(CONTROL_BACKOFF, clock=clock),
        opaque_ports=config.outbound.opaque_ports,
        leads_back=proxy.listening.leads_back,
        own_ips=config.inbound_ips,
        secures=proxy.identity is not None,
        on_skipped=skipped.inc,
        running=set(),
    )


def _with_control(proxy: Proxy, sources: Sources, *, registry: Registry) -> Sources:
    address = proxy.config.destination.address
    if address is None:
        return sources
    client = _build_control(proxy, sources, registry=registry, address=address)
    return sources._replace(client=client)


def _build_identity(proxy: Proxy, sources: Sources, *, registry: Registry) -> None:
    """Who we are, kept certified."""
    config, identity, clock = proxy.config.identity, proxy.identity, SystemClock()
    if config is None or identity is None:
        return
    client = _build_control(proxy, sources, registry=registry, address=config.address)
    proxy.renewal = Renewal(
        Certifier(client, config=config, clock=clock).certify,
        identity=identity,
        bounds=Bounds(config.min_refresh_s, config.max_refresh_s),
        metrics=Metrics(registry),
        clock=clock,
        backoff=backoff_maker(CONTROL_BACKOFF, clock=clock)(),
    )
    identity.on_failure = handshake_log(logger, clock=clock)


def _build_control(
    proxy: Proxy, sources: Sources, *, registry: Registry, address: Authority
) -> GrpcClient:
    """The control plane is a target like any other, found by DNS or at an address."""
    rules = sources.rules._replace(address=None, profile_networks=())
    resolver = Resolver(sources._replace(rules=rules, leads_back=_never))
    table = TargetTable(
        proxy.engine,
        registry,
        direction="control",
        settings=control_pool_settings(),
        on_unknown_target=lambda target: resolver.on_unknown_target(target, table=table),
        metrics_prefix=b"control_",
    )
    proxy.tables.append(table)
    proxy.closers.append(table.close)
    proxy.resolvers.append(resolver)
    proxy.closers.append(resolver.close)
    target = table.install(str(address).encode())
    resolver.adopt(target)
    return GrpcClient(LocalClient(table), target=target, authority=str(address))


def _build_dns(config: Config, *, registry: Registry) -> DnsResolver:
    counters = {
        (kind, result): registry.counter(
            "control_dns_resolutions_total",
            "Questions to name servers, by record type and result.",
            {"client": "outbound", "record_type": kind, "result": result},
        )
        for kind in ("A", "AAAA")
        for result in ("ok", "not_found", "error")
    }
    return DnsResolver(
        ResolvConf(config.dns.resolv_conf),
        hosts=Hosts(),
        count=lambda kind, result: counters[kind, result].inc(),
    )


def _build_admin(proxy: Proxy, *, registry: Registry, log_level: LogLevel) -> None:
    """For Prometheus, the kubelet and whoever operates this proxy."""
    settings = proxy.config.admin
    admin = Admin(
        render=lambda: registry.render(time.monotonic_ns()),
        ready=lambda: proxy.ready,
        listeners=proxy.listening.as_json,
        log_level=log_level,
        shut_down=proxy.shut_down if proxy.config.shutdown_endpoint else None,
        admission=Admission(settings.hosts | own_names(), token_file=settings.token_file),
    )
    server = LocalServer(proxy.engine, on_request=admin.on_request, limits=admin_limits())
    proxy.closers.append(server.drain)
    bound = listen(server.listen, settings.listen, variable="ADMIN_LISTEN_ADDR")
    proxy.listening.admin = bound


def _server(
    proxy: Proxy,
    table: TargetTable,
    *,
    side: Side,
    target: Target | None,
    opaque: bool = False,
    authorize: Authorize | None = None,
) -> ProxyServer:
    inbound = table.direction == "inbound"
    identity = proxy.identity if inbound else None
    server = ProxyServer(
        proxy.engine,
        table,
        direction=table.direction,
        limits=limits(side),
        detect_timeout_ns=ns(side.detect_timeout_s),
        target=target,
        opaque=opaque,
        orig_proto=inbound,
        informational_headers=proxy.config.informational_headers,
        authority_labels=inbound and proxy.config.inbound_authority_labels,
        identity=identity,
        authorize=authorize,
        no_tls=_no_tls(inbound=inbound, identity=identity),
    )
    server.on_exhausted = exhaustion_log(logger, table.registry, direction=table.direction)
    proxy.servers.append(server)
    proxy.closers.append(server.abort_all)
    proxy.closers.append(server.drain)
    return server


def _no_tls(*, inbound: bool, identity: LocalIdentity | None) -> Labels:
    """Why a client's connection is plain."""
    if not inbound:
        return NO_TLS
    return DISABLED if identity is None else NOT_FROM_REMOTE


def _bind(server: ProxyServer, address: SocketAddr, *, side: Side, name: str) -> SocketAddr:
    options = socket_options(side.accept_socket)
    bind = partial(server.listen, backlog=side.backlog, options=options, hold=True)
    return listen(bind, address, variable=name)


def _close_engine(engine: Loop, *, loop: asyncio.AbstractEventLoop) -> None:
    leave(engine, loop)
    # What was told to end does so: resets are written, streams let go of their sessions.
    engine.work_off(_LAST_WORK_S)
    engine.close()


def _count_failures(registry: Registry, kind: str, failures: int) -> None:
    registry.counter(f"{FAILURES}_total", FAILURES_HELP, [("task", kind)]).inc(failures)


def _on_engine_error(error: BaseException, actor: Actor) -> None:
    logger.error("the engine failed in %s: %r", type(actor).__name__, error, exc_info=error)


def _never(_: SocketAddr) -> bool:
    return False
