"""For Prometheus, the kubelet and whoever operates this proxy."""

from __future__ import annotations

import time
from collections.abc import Callable

from linkerd2_py._ext.route.local_server import LocalServer
from linkerd2_py.proxy.admin import Admin, Admission, own_names
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.config.table import ADMIN_LISTEN_ADDR
from linkerd2_py.proxy.listeners import listen
from linkerd2_py.proxy.log_level import LogLevel
from linkerd2_py.proxy.settings import admin_limits


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
        ready=ready,
        listeners=parts.listening.as_json,
        log_level=log_level,
        shut_down=shut_down if parts.config.shutdown_endpoint else None,
        admission=Admission(settings.hosts | own_names(), token_file=settings.token_file),
    )
    server = LocalServer(parts.engine, on_request=admin.on_request, limits=admin_limits())
    parts.closers.append(server.drain)
    parts.listening.admin = listen(server.listen, settings.listen, setting=ADMIN_LISTEN_ADDR)
