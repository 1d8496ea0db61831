"""A server in front of a table of targets, and the addresses it is bound to: the same for both directions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.endpoint_spec import DISABLED, NO_TLS, NOT_FROM_REMOTE
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.config.setting import Setting
from linkerd2_py.proxy.config.types import Side
from linkerd2_py.proxy.discovery.messages import Labels
from linkerd2_py.proxy.listeners import exhaustion_log, listen
from linkerd2_py.proxy.settings import limits, ns, socket_options

logger = logging.getLogger(__name__)

Authorize = Callable[[Client, Address | None, int], Permission]


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
        no_tls=_no_tls(inbound=inbound, identity=identity),
    )
    server.on_exhausted = exhaustion_log(logger, table.registry, direction=table.direction)
    parts.add_server(server)
    return server


def bind(
    server: ProxyServer, address: SocketAddr, *, side: Side, setting: Setting[Any]
) -> SocketAddr:
    """Where it really listens; it takes nobody before it is started. ListenError when the system refuses."""
    options = socket_options(side.accept_socket)
    held = partial(server.listen, backlog=side.backlog, options=options, hold=True)
    return listen(held, address, setting=setting)


def _no_tls(*, inbound: bool, identity: LocalIdentity | None) -> Labels:
    """Why a client's connection is plain."""
    if not inbound:
        return NO_TLS
    return DISABLED if identity is None else NOT_FROM_REMOTE
