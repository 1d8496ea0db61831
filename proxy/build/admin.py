"""For Prometheus, the kubelet and whoever operates this proxy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.local_server import LocalServer
from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.proxy.admin import Admin, Admission, own_names
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.build.server import no_tls
from linkerd2_py.proxy.config.table import ADMIN_LISTEN_ADDR
from linkerd2_py.proxy.listeners import listen
from linkerd2_py.proxy.log_level import LogLevel
from linkerd2_py.proxy.policy.inbound import InboundPolicies
from linkerd2_py.proxy.settings import ADMIN_DETECT_S, admin_limits, ns

_SHOWN: Final = ("/metrics", "/endpoints.json")
_PROBED: Final = ("/live", "/ready")
"""What the kubelet asks, who has no identity: open whatever the policy is."""


def build_admin(
    parts: Parts,
    *,
    ready: Callable[[], bool],
    shut_down: Callable[[], None],
    log_level: LogLevel,
) -> None:
    """The admin server, which answers at once. ListenError when its address is taken."""
    settings, registry = parts.config.admin, parts.registry
    admin = Admin(
        render=lambda: registry.render(time.monotonic_ns()),
        endpoints=partial(_endpoints, parts),
        ready=ready,
        listeners=parts.listening.as_json,
        environment=_environment,
        log_level=log_level,
        shut_down=shut_down if parts.config.shutdown_endpoint else None,
        admission=Admission(settings.hosts | own_names(), token_file=settings.token_file),
    )
    server = parts.admin = LocalServer(
        parts.engine,
        on_request=admin.on_request,
        limits=admin_limits(),
        identity=parts.identity,
        no_tls=no_tls(inbound=True, identity=parts.identity),
        patience_ns=ns(ADMIN_DETECT_S),
    )
    parts.closers.append(server.drain)
    parts.listening.admin = listen(server.listen, settings.listen, setting=ADMIN_LISTEN_ADDR)


def _endpoints(parts: Parts) -> Iterator[bytes]:
    from linkerd2_py.proxy.endpoint_states import endpoint_states  # noqa: PLC0415  # few are asked

    return endpoint_states(parts.tables)


def _environment() -> dict[str, str]:
    """What this proxy was told. Its secrets are in files; other variables of the process are nobody's
    business.
    """
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(PROXY_ENV_PREFIX)
    }


def guard_admin(parts: Parts, policies: InboundPolicies) -> None:
    """Inbound policy says who may ask, as for a port of the workload."""
    server, address = parts.admin, parts.listening.admin
    if server is None or address is None:
        return
    port, shown = address.port, _SHOWN if parts.config.admin.shows_metrics else ()
    policies.open(port, (*_PROBED, *shown))

    def authorize(client: Client, peer: Address | None) -> Permission:
        return policies.permission(client, peer, port)

    server.authorize = authorize
