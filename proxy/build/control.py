"""From this proxy to its control plane: whom discovery may ask, and who certifies us."""

from __future__ import annotations

import logging
from functools import partial

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.local_client import LocalClient
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tls.credentials import Credentials, CredentialsError
from linkerd2_py._ext.tls.identity import LocalIdentity, ServerIdentity
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.grpc.client import GrpcClient
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.backoff import backoff_maker
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.config.table import IDENTITY_TRUST_ANCHORS
from linkerd2_py.proxy.config.types import Config, Identity, Service
from linkerd2_py.proxy.discovery.discovery import Discovery
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.dns.follow import TtlBounds
from linkerd2_py.proxy.dns.resolver import Resolver
from linkerd2_py.proxy.dns.settings import Hosts, ResolvConf
from linkerd2_py.proxy.identity.certify import Certificate, Certifier, IdentityError
from linkerd2_py.proxy.identity.failures import handshake_log
from linkerd2_py.proxy.identity.renewal import Bounds, Metrics, Renewal
from linkerd2_py.proxy.policy.api import PolicyApi
from linkerd2_py.proxy.settings import CONTROL_BACKOFF, Http2Tuning, control_pool_settings

logger = logging.getLogger(__name__)


def build_lookups(parts: Parts) -> Lookups:
    """Whom discovery may ask, the control plane left out: it is found with these."""
    config = parts.config
    skipped = parts.registry.counter(
        "control_destination_skipped_addresses_total",
        "Addresses from the control plane that cannot be connected to.",
    )
    return Lookups(
        client=None,
        rules=config.destination,
        resolver=_resolver(config, registry=parts.registry),
        ttl=TtlBounds(min_s=config.dns.min_ttl_s, max_s=config.dns.max_ttl_s),
        make_backoff=backoff_maker(CONTROL_BACKOFF, clock=SystemClock()),
        opaque_ports=config.outbound.opaque_ports,
        leads_back=parts.listening.leads_back,
        own_ips=config.inbound_ips,
        secures=parts.identity is not None,
        on_skipped=skipped.inc,
        running=set(),
        tuning=Http2Tuning(config.outbound).limits,
        registry=parts.registry,
    )


def with_destination(parts: Parts, lookups: Lookups) -> Lookups:
    """The same, and the destination API where there is one."""
    service = parts.config.destination.service
    if service is None:
        return lookups
    return lookups._replace(client=client_of(parts, lookups, service, what="destination"))


def build_policy(parts: Parts, lookups: Lookups) -> PolicyApi | None:
    """The policy API where there is one."""
    config = parts.config.policy
    if config is None:
        return None
    return PolicyApi(
        client_of(parts, lookups, config.service, what="policy"),
        workload=config.workload,
        streams=lookups.rules.streams,
        make_backoff=lookups.make_backoff,
        running=lookups.running,
    )


def build_identity(parts: Parts, lookups: Lookups) -> None:
    """Who we are, kept certified. IdentityError when a file of ours cannot be read."""
    config, identity, clock = parts.config.identity, parts.identity, SystemClock()
    if config is None or identity is None:
        return
    caller = parts.caller = _caller(config)
    caller.on_failure = handshake_log(logger, clock=clock)
    client = client_of(parts, lookups, config.service, what="identity")
    certifier = Certifier(client, config=config, clock=clock)

    async def certify() -> Certificate:
        certificate = await certifier.certify()
        caller.install(certificate.credentials)
        while parts.when_certified:
            parts.when_certified.pop()()
        return certificate

    parts.renewal = Renewal(
        certify,
        identity=identity,
        bounds=Bounds(config.min_refresh_s, config.max_refresh_s),
        metrics=Metrics(parts.registry),
        clock=clock,
        backoff=backoff_maker(CONTROL_BACKOFF, clock=clock)(),
    )
    identity.on_failure = handshake_log(logger, clock=clock)


def _caller(config: Identity) -> LocalIdentity:
    """Who calls the control plane: somebody who knows whom to trust, and who has no certificate yet.
    IdentityError when the anchors cannot be used.
    """
    caller = LocalIdentity(config.local_name)
    try:
        caller.install(Credentials(name=config.local_name, anchors=config.trust_anchors))
    except CredentialsError as error:
        raise IdentityError(f"{IDENTITY_TRUST_ANCHORS.variable}: {error}") from error
    return caller


def client_of(parts: Parts, lookups: Lookups, service: Service, *, what: str) -> GrpcClient:
    """The control plane is a target like any other, found by DNS or at an address; who answers there proves
    the name that we were given.
    """
    rules = lookups.rules._replace(service=None, profile_networks=())
    found = lookups._replace(rules=rules, leads_back=_never, registry=None)
    if service.name:
        found = found._replace(peer=ServerIdentity(service.name), secures=True)
    discovery = Discovery(found)
    table = TargetTable(
        parts.engine,
        parts.registry,
        direction="control",
        settings=control_pool_settings(),
        on_unknown_target=lambda target: discovery.on_unknown_target(target, table=table),
        metrics_prefix=b"control_",
        identity=parts.caller if service.name else None,
    )
    table.addr, table.balances_as = str(service.address), f"control_{what}"
    parts.add_table(table)
    parts.add_discovery(discovery)
    target = table.install(str(service.address).encode())
    if service.name and what != "identity":
        # Who is asked may want to know who asks.
        parts.when_certified.append(partial(discovery.adopt, target))
    else:
        discovery.adopt(target)
    client = GrpcClient(LocalClient(table), target=target, authority=str(service.address))
    if service.name:
        client.on_answer = lambda: logger.info(
            "%s at %s has proven to be %s", what, service.address, service.name
        )
    return client


def _resolver(config: Config, *, registry: Registry) -> Resolver:
    counters = {
        (kind, result): registry.counter(
            "control_dns_resolutions_total",
            "Questions to name servers, by record type and result.",
            {"client": "outbound", "record_type": kind, "result": result},
        )
        for kind in ("A", "AAAA")
        for result in ("ok", "not_found", "error")
    }
    return Resolver(
        ResolvConf(config.dns.resolv_conf),
        hosts=Hosts(),
        count=lambda kind, result: counters[kind, result].inc(),
    )


def _never(_: SocketAddr) -> bool:
    return False
