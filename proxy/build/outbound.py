"""From the workload to the world."""

from __future__ import annotations

from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.build.server import bind, build_server, build_table
from linkerd2_py.proxy.config.table import (
    OUTBOUND_LISTEN_ADDR,
    OUTBOUND_LISTEN_ADDRS,
    OUTBOUND_STATIC_PORTS,
)
from linkerd2_py.proxy.discovery.discovery import Discovery
from linkerd2_py.proxy.discovery.failure_accrual import log_breaker
from linkerd2_py.proxy.discovery.lookups import Lookups


def build_outbound(parts: Parts, lookups: Lookups) -> None:
    """Listeners for the workload, whose targets are looked up. ListenError when one is taken."""
    config, side = parts.config, parts.config.outbound
    discovery = Discovery(lookups)
    table = build_table(parts, "outbound", side=side, finder=discovery, identity=parts.identity)
    table.on_breaker = log_breaker
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
