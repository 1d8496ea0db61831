"""A table of targets, a server in front of it, and the addresses it is bound to: one for both directions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from linkerd2_py._ext.exchange.observe import Seeker
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.observers.several import Several
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.complaints import Complaints
from linkerd2_py._ext.route.endpoint_spec import DISABLED, NO_TLS, NOT_FROM_REMOTE
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.config.setting import Setting
from linkerd2_py.proxy.config.types import Side
from linkerd2_py.proxy.discovery.messages import Labels
from linkerd2_py.proxy.listeners import answer_log, exhaustion_log, listen, stranger_log
from linkerd2_py.proxy.settings import limits, ns, pool_settings, socket_options

logger = logging.getLogger(__name__)

Authorize = Callable[[Client, Address | None, int], Permission]


class Finder(Protocol):
    """Who says what a target is that traffic names."""

    def on_unknown_target(self, target: Target, *, table: TargetTable) -> None:
        """Traffic is addressed to it for the first time."""

    def on_idle_target(self, target: Target, *, table: TargetTable) -> None:
        """Nothing has been for a while."""


def build_table(
    parts: Parts,
    direction: str,
    *,
    side: Side,
    finder: Finder,
    identity: LocalIdentity | None = None,
) -> TargetTable:
    """The targets of one direction. With `identity`, connections to those who prove theirs are secured."""
    table = TargetTable(
        parts.engine,
        parts.registry,
        direction=direction,
        settings=pool_settings(side, parts.config.balancing),
        on_unknown_target=lambda target: finder.on_unknown_target(target, table=table),
        on_idle_target=lambda target: finder.on_idle_target(target, table=table),
        idle_ns=ns(side.discovery_idle_s),
        identity=identity,
    )
    parts.add_table(table)
    return table


def build_server(
    parts: Parts,
    table: TargetTable,
    *,
    side: Side,
    target: Target | None,
    opaque: bool = False,
    authorize: Authorize | None = None,
) -> ProxyServer:
    """What serves the connections of one direction; with `target`, all of them are addressed to that one."""
    inbound = table.direction == "inbound"
    identity = parts.identity if inbound else None
    server = ProxyServer(
        parts.engine,
        table,
        direction=table.direction,
        limits=limits(side),
        detect_timeout_ns=ns(side.detect_timeout_s),
        target=target,
        opaque=opaque,
        orig_proto=inbound,
        informational_headers=parts.config.informational_headers,
        authority_labels=inbound and parts.config.inbound_authority_labels,
        identity=identity,
        authorize=authorize,
        tells_names=parts.config.outbound_tells_names and not inbound,
        no_tls=no_tls(inbound=inbound, identity=identity),
    )
    server.seeker = _seeker(parts, inbound=inbound)
    told = answer_log(logger, direction=table.direction)
    server.complaints = Complaints(parts.engine, told)
    server.on_stranger = stranger_log(logger, clock=SystemClock())
    server.on_exhausted = exhaustion_log(logger, table.registry, direction=table.direction)
    parts.add_server(server)
    return server


def _seeker(parts: Parts, *, inbound: bool) -> Seeker | None:
    """Who looks on at its exchanges; taps ask for nothing while nobody taps, the others always do."""
    seekers: list[Seeker] = []
    if parts.spans is not None:
        seekers.append(parts.spans)
    if parts.access_log is not None and inbound:
        seekers.append(parts.access_log)
    if not seekers:
        return parts.taps
    if parts.taps is not None:
        seekers.append(parts.taps)
    return seekers[0] if len(seekers) == 1 else Several(parts.engine, seekers)


def bind(
    server: ProxyServer, address: SocketAddr, *, side: Side, setting: Setting[Any]
) -> SocketAddr:
    """Where it really listens; it takes nobody before it is started. ListenError when the system refuses."""
    options = socket_options(side.accept_socket)
    held = partial(server.listen, backlog=side.backlog, options=options, hold=True)
    return listen(held, address, setting=setting)


def no_tls(*, inbound: bool, identity: LocalIdentity | None) -> Labels:
    """Why a client's connection is plain."""
    if not inbound:
        return NO_TLS
    return DISABLED if identity is None else NOT_FROM_REMOTE
