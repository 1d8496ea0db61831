"""Spans of sampled requests in both directions, where somebody collects them."""

from __future__ import annotations

from linkerd2_py._ext.observers.spans import Spans
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.proxy.backoff import backoff_maker
from linkerd2_py.proxy.build.control import client_of
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.settings import CONTROL_BACKOFF


def build_tracing(parts: Parts, lookups: Lookups) -> None:
    """Built before the servers whose exchanges are seen, and after who we are: the collector may want to
    know.
    """
    tracing = parts.config.tracing
    if tracing is None:
        return
    # What they need is loaded by proxies that send spans, and by no other.
    from linkerd2_py.proxy.tracing.export import Exporter  # noqa: PLC0415
    from linkerd2_py.proxy.tracing.resource import attributes_of  # noqa: PLC0415

    clock = SystemClock()
    parts.spans = Spans(parts.engine, parts.registry)
    parts.exporter = Exporter(
        parts.spans,
        client_of(parts, lookups, tracing.collector, what="trace_collector"),
        attributes=attributes_of(tracing, now_s=clock.wall()),
        registry=parts.registry,
        backoff=backoff_maker(CONTROL_BACKOFF, clock=clock)(),
    )
