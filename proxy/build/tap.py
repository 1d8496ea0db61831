"""For the control plane's tap: who watches what passes this proxy."""

from __future__ import annotations

from linkerd2_py._ext.route.call_server import CallServer
from linkerd2_py._ext.tap.taps import Taps
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.config.table import CONTROL_LISTEN_ADDR
from linkerd2_py.proxy.listeners import listen
from linkerd2_py.proxy.settings import (
    TAP_CALLS,
    TAP_CONNECTIONS,
    TAP_DETECT_S,
    TAP_IDLE_S,
    ns,
    tap_limits,
)
from linkerd2_py.proxy.tap.observe import Observe


def build_tap(parts: Parts) -> None:
    """The server of taps, where somebody may tap this proxy; it takes nobody before it is started. Built
    before the servers whose exchanges are seen. ListenError when its address is taken.
    """
    settings, identity = parts.config.tap, parts.identity
    if settings is None or identity is None:
        return
    taps = parts.taps = Taps(parts.engine, parts.registry)
    observe = Observe(taps, client=settings.client)
    server = parts.tap_server = CallServer(
        parts.engine,
        on_call=observe.on_call,
        limits=tap_limits(),
        connections_max=TAP_CONNECTIONS,
        calls_max=TAP_CALLS,
        idle_ns=ns(TAP_IDLE_S),
        identity=identity,
        patience_ns=ns(TAP_DETECT_S),
    )
    parts.closers += [server.abort_all, server.drain, taps.close]
    bound = listen(
        lambda host, port: server.listen(host, port, hold=True),
        settings.listen,
        setting=CONTROL_LISTEN_ADDR,
    )
    parts.listening.tap = bound
