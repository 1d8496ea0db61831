"""From the workload to the world."""

from __future__ import annotations

from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.build.server import bind, build_server
from linkerd2_py.proxy.config.table import (
    OUTBOUND_LISTEN_ADDR,
    OUTBOUND_LISTEN_ADDRS,
    OUTBOUND_STATIC_PORTS,
)
from linkerd2_py.proxy.discovery.discovery import Discovery
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.settings import ns, pool_settings


def build_outbound(parts: Parts, lookups: Lookups) -> None:
    """Listeners for the workload, whose targets are looked up. ListenError when one is taken."""
    config, side = parts.config, parts.config.outbound
    discovery = Discovery(lookups)
    table = _table(parts, discovery)
    parts.add_discovery(discovery)
    server = build_server(parts, table, side=side, target=None)
    several = len(side.listen) > 1
    setting = OUTBOUND_LISTEN_ADDRS if several else OUTBOUND_LISTEN_ADDR
    for address in side.listen:
        parts.listening.outbound.append(bind(server, address, side=side, setting=setting))
    for port in config.outbound_static:
        target = table.install(str(port.target).encode())
        server = build_server(parts, table, side=side, target=target)
        bound = bind(server, port.listen, side=side, setting=OUTBOUND_STATIC_PORTS)
        parts.listening.outbound_static.append((bound, str(port.target)))
    # Not before all listen: what leads back to one of them must be seen as that.
    for port in config.outbound_static:
        discovery.adopt(table.install(str(port.target).encode()))


def _table(parts: Parts, discovery: Discovery) -> TargetTable:
    config, side = parts.config, parts.config.outbound
    table = TargetTable(
        parts.engine,
        parts.registry,
        direction="outbound",
        settings=pool_settings(side, config.balancing),
        on_unknown_target=lambda target: discovery.on_unknown_target(target, table=table),
        on_idle_target=lambda target: discovery.on_idle_target(target, table=table),
        idle_ns=ns(side.discovery_idle_s),
        identity=parts.identity,
    )
    parts.add_table(table)
    return table
