"""The configuration in the engine's units: nanoseconds, and its own value types."""

from __future__ import annotations

from typing import Final

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import SocketOptions
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.proxy.config.types import Balancing, Side, SocketTuning
from linkerd2_py.proxy.discovery.http2 import Http2Params

CONTROL_BACKOFF: Final = BackoffRange(min_s=0.1, max_s=5.0, jitter=1.0)
"""Between two tries of a control stream. The jitter is wide: all proxies lose a control plane at once."""

ADMIN_DETECT_S: Final = 10.0
"""For each step until a client of the admin server has said what it speaks, and who it is."""

TAP_DETECT_S: Final = 10.0
"""The same for who taps."""
TAP_CONNECTIONS: Final = 64
TAP_CALLS: Final = 128
TAP_IDLE_S: Final = 300.0

_TUNINGS_MAX: Final = 64
"""A control plane has one for all; what is forgotten is another object, and its endpoints connect anew."""
_ADMIN_HEAD_S: Final = 10.0
_ADMIN_STREAMS: Final = 16
_ADMIN_IDLE_S: Final = 120.0
_CONTROL_QUEUE: Final = 100
_CONTROL_FAILFAST_S: Final = 10.0
_CONTROL_CONNECT_S: Final = 3.0
_CONTROL_KEEPALIVE_S: Final = 10
_CONTROL_USER_TIMEOUT_MS: Final = 20_000


def ns(seconds: float) -> int:
    """Whole nanoseconds."""
    return round(seconds * 1_000_000_000)


def socket_options(tuning: SocketTuning) -> SocketOptions:
    """Keep-alive is counted in whole seconds; a shorter one is one second."""
    keepalive = max(1, round(tuning.keepalive_s)) if tuning.keepalive_s else 0
    return SocketOptions(keepalive_s=keepalive, user_timeout_ms=round(tuning.user_timeout_s * 1000))


def limits(side: Side, **changed: int) -> Limits:
    """The engine's own bounds, with what the environment says of one side's clients, and what is `changed` of
    both.
    """
    http2 = side.http2
    given = {
        "max_concurrent_streams": http2.max_concurrent_streams,
        "max_frame_size": http2.max_frame_size,
        "header_list_bytes": http2.header_list_bytes,
        "pending_accept_resets": http2.pending_accept_resets,
        "ping_interval_ns": _optional_ns(http2.keepalive_interval_s),
        "ping_timeout_ns": _optional_ns(http2.keepalive_timeout_s),
    }
    numbers = {
        "half_close_ns": max(ns(side.half_close_grace_s), 1_000_000),
        "stalled_send_ns": ns(side.slow_reader_s),
        "initial_stream_window": http2.stream_window,
        "initial_connection_window": http2.connection_window,
        **{name: value for name, value in given.items() if value is not None},
    }
    return Limits(**{**numbers, **changed})


class Http2Tuning:
    """What endpoints ask of HTTP/2 connections to them, as limits: one object for the same parameters."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._known: dict[Http2Params, Limits] = {}

    def limits(self, params: Http2Params | None) -> Limits | None:
        """None: those of all connections of this side."""
        if params is None:
            return None
        found = self._known.get(params)
        if found is None:
            if len(self._known) >= _TUNINGS_MAX:
                self._known.clear()
            found = self._known[params] = limits(self._side, **dict(params.limits))
        return found


def pool_settings(side: Side, balancing: Balancing) -> PoolSettings:
    """How one direction connects to its endpoints and chooses among them."""
    return PoolSettings(
        penalizes_failures=balancing.penalizes_failures,
        max_retry_after_ns=ns(balancing.max_retry_after_s),
        failfast_ns=ns(side.failfast_s),
        queue_capacity=side.queue_capacity,
        max_in_flight=side.max_in_flight,
        connect_timeout_ns=ns(side.connect_timeout_s),
        backoff_min_ns=ns(side.connect_backoff.min_s),
        backoff_max_ns=ns(side.connect_backoff.max_s),
        backoff_jitter=side.connect_backoff.jitter,
        http1_idle_ns=ns(side.http1_idle_s),
        http1_max_idle=side.http1_max_idle,
        socket=socket_options(side.connect_socket),
        limits=limits(side),
    )


def admin_limits() -> Limits:
    """Who asks the admin server is quick; who says nothing is let go."""
    return Limits(
        head_timeout_ns=ns(_ADMIN_HEAD_S),
        keepalive_idle_ns=ns(_ADMIN_IDLE_S),
        max_concurrent_streams=_ADMIN_STREAMS,
    )


def tap_limits() -> Limits:
    """Who taps has a call for each tap, over one connection."""
    return Limits(head_timeout_ns=ns(_ADMIN_HEAD_S), max_concurrent_streams=TAP_CALLS)


def control_pool_settings() -> PoolSettings:
    """How the control plane is connected to: a silent peer must not keep a stream for long."""
    return PoolSettings(
        failfast_ns=ns(_CONTROL_FAILFAST_S),
        queue_capacity=_CONTROL_QUEUE,
        connect_timeout_ns=ns(_CONTROL_CONNECT_S),
        backoff_min_ns=ns(CONTROL_BACKOFF.min_s),
        backoff_max_ns=ns(CONTROL_BACKOFF.max_s),
        backoff_jitter=CONTROL_BACKOFF.jitter,
        socket=SocketOptions(
            keepalive_s=_CONTROL_KEEPALIVE_S, user_timeout_ms=_CONTROL_USER_TIMEOUT_MS
        ),
        limits=Limits(),
    )


def _optional_ns(seconds: float | None) -> int | None:
    return None if seconds is None else ns(seconds)
