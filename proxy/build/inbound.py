"""From the world to the workload."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.build.server import Authorize, bind, build_server, build_table
from linkerd2_py.proxy.config.table import INBOUND_LISTEN_ADDR, INBOUND_STATIC_PORTS
from linkerd2_py.proxy.discovery.inbound import InboundTargets
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.named_profiles import NamedProfiles
from linkerd2_py.proxy.policy.api import PolicyApi
from linkerd2_py.proxy.policy.changes import PolicyChanges
from linkerd2_py.proxy.policy.inbound import InboundPolicies
from linkerd2_py.proxy.policy.ports import PortPolicies

if TYPE_CHECKING:
    from linkerd2_py.proxy.policy.authorizers.authorizers import Authorizers
    from linkerd2_py.proxy.policy.tokens.book import TokenBook


def build_inbound(parts: Parts, api: PolicyApi | None, *, lookups: Lookups) -> InboundPolicies:
    """Listeners for peers, whose targets are the workload's own addresses; and who is let in. ListenError
    when one is taken.
    """
    config, side = parts.config, parts.config.inbound
    changes = PolicyChanges()
    ports = PortPolicies(
        config.inbound_policy,
        opaque_ports=side.opaque_ports,
        api=api,
        on_change=changes.on_change,
    )
    parts.add_discovery(ports)
    targets = InboundTargets(
        own_ips=config.inbound_ips, ports=ports, leads_back=parts.listening.is_ours
    )
    changes.targets = targets
    table = build_table(parts, "inbound", side=side, finder=targets)
    if lookups.client is not None:
        profiles = NamedProfiles(lookups, registry=parts.registry)
        parts.add_discovery(profiles)
        table.named = profiles.tables
    policies = InboundPolicies(
        ports.of,
        registry=parts.registry,
        judges_localhost=config.inbound_policy.judges_localhost,
        make_book=partial(_token_book, parts),
        make_authorizers=partial(_authorizers, parts, lookups),
    )
    parts.add_discovery(policies)
    authorize = _authorize(policies, targets)
    server = build_server(parts, table, side=side, target=None, authorize=authorize)
    changes.servers.append(server)
    for address in side.listen:
        parts.listening.inbound.append(
            bind(server, address, side=side, setting=INBOUND_LISTEN_ADDR)
        )
    for port in config.inbound_static:
        target = table.install(str(port.workload).encode())
        targets.adopt(target, workload=port.workload, opaque=port.opaque, http=port.http)
        server = build_server(
            parts, table, side=side, target=target, opaque=port.opaque, authorize=authorize
        )
        changes.servers.append(server)
        bound = bind(server, port.listen, side=side, setting=INBOUND_STATIC_PORTS)
        targets.listens(port, at=bound)
        parts.listening.inbound_static.append((bound, str(port.workload)))
    ports.begin_always(sorted({*config.inbound_ports, *parts.listening.admin_ports}))
    return policies


def _token_book(parts: Parts) -> TokenBook:
    """Most proxies never load what it takes."""
    from linkerd2_py.proxy.policy.tokens.book import TokenBook  # noqa: PLC0415

    return TokenBook(parts.engine, registry=parts.registry, clock=SystemClock())


def _authorizers(parts: Parts, lookups: Lookups) -> Authorizers:
    """Most proxies never load what it takes."""
    from linkerd2_py.proxy.build.authorizers import build_authorizers  # noqa: PLC0415

    return build_authorizers(parts, lookups)


def _authorize(policies: InboundPolicies, targets: InboundTargets) -> Authorize:
    """Policy, which knows the workload's own ports only."""
    return lambda client, peer, port: policies.permission(client, peer, targets.port_of(port))
