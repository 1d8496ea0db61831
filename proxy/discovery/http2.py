"""How an endpoint wants HTTP/2 connections to it to be kept, as the destination API says it.

Windows count only both together, and not beside adaptive flow control, which is not done here; keep-alive
counts with interval and timeout. What is out of bounds becomes the nearest that is possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.proto.gen import destination_pb2 as destination

_HOUR_NS: Final = 3_600_000_000_000
_WINDOW_MAX: Final = (1 << 31) - 1
_CONNECTION_WINDOW_MIN: Final = 65_535
_FRAME_MIN: Final = 16_384
_FRAME_MAX: Final = (1 << 24) - 1


class Http2Params(NamedTuple):
    """`limits`: those of the engine that differ, by name. `pings_idle`: connections without a stream are
    asked whether they live, too.
    """

    limits: tuple[tuple[str, int], ...] = ()
    pings_idle: bool = True


def http2_params(message: destination.WeightedAddr) -> Http2Params | None:
    """None where nothing is said that can be followed."""
    if not message.HasField("http2"):
        return None
    said = message.http2
    found = (*_keep_alive(said.keep_alive), *_windows(said.flow_control), *_frames(said.internals))
    if not found:
        return None
    pings = any(name == "ping_interval_ns" for name, _ in found)
    return Http2Params(found, pings_idle=said.keep_alive.while_idle if pings else True)


def _keep_alive(said: destination.Http2ClientParams.KeepAlive) -> Iterator[tuple[str, int]]:
    interval, timeout = _ns(said.interval), _ns(said.timeout)
    if interval > 0 and timeout > 0:
        yield "ping_interval_ns", min(interval, _HOUR_NS)
        yield "ping_timeout_ns", min(timeout, _HOUR_NS)


def _windows(said: destination.Http2ClientParams.FlowControl) -> Iterator[tuple[str, int]]:
    connection, stream = said.initial_connection_window_size, said.initial_stream_window_size
    if connection and stream and not said.adaptive_flow_control:
        bounded = min(max(connection, _CONNECTION_WINDOW_MIN), _WINDOW_MAX)
        yield "initial_connection_window", bounded
        yield "initial_stream_window", min(stream, _WINDOW_MAX)


def _frames(said: destination.Http2ClientParams.Internals) -> Iterator[tuple[str, int]]:
    if said.max_frame_size:
        yield "max_frame_size", min(max(said.max_frame_size, _FRAME_MIN), _FRAME_MAX)


def _ns(said: Duration) -> int:
    return said.seconds * 1_000_000_000 + said.nanos
