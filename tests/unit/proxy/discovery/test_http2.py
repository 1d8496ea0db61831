"""What an endpoint says of HTTP/2 connections to it, and what becomes of that."""

import pytest

from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proxy.config.load import load
from linkerd2_py.proxy.discovery.http2 import Http2Params, http2_params
from linkerd2_py.proxy.settings import Http2Tuning, limits
from tests.support.sidecar import environment

S = 1_000_000_000
Params = destination.Http2ClientParams
KEPT = (("ping_interval_ns", 5 * S), ("ping_timeout_ns", 2 * S))


def said(**parts: object) -> Http2Params | None:
    return http2_params(destination.WeightedAddr(http2=Params(**parts)))  # type: ignore[arg-type] # the test's


def alive(interval: float, timeout: float, **more: bool) -> Params.KeepAlive:
    found = Params.KeepAlive(**more)
    found.interval.FromNanoseconds(round(interval * S))
    found.timeout.FromNanoseconds(round(timeout * S))
    return found


def test_nothing_is_nothing() -> None:
    assert http2_params(destination.WeightedAddr()) is None
    assert said() is None


@pytest.mark.parametrize("while_idle", [True, False])
def test_keep_alive_is_taken_over(while_idle: bool) -> None:
    found = said(keep_alive=alive(5, 2, while_idle=while_idle))
    assert found == Http2Params(KEPT, pings_idle=while_idle)


@pytest.mark.parametrize(("interval", "timeout"), [(5, 0), (0, 2), (-1, 2), (5, -1)])
def test_half_of_keep_alive_is_none(interval: float, timeout: float) -> None:
    assert said(keep_alive=alive(interval, timeout)) is None


def test_durations_that_no_timer_has_are_an_hour() -> None:
    found = said(keep_alive=alive(1e6, 1e6, while_idle=True))
    assert found is not None
    assert {number for _, number in found.limits} == {3600 * S}


def test_windows_count_together_and_not_beside_adaptive_ones() -> None:
    flow = Params.FlowControl
    both = flow(initial_connection_window_size=1, initial_stream_window_size=4_000_000_000)
    assert said(flow_control=both) == Http2Params(
        (("initial_connection_window", 65_535), ("initial_stream_window", (1 << 31) - 1))
    )
    assert said(flow_control=flow(initial_stream_window_size=100_000)) is None
    both.adaptive_flow_control = True
    assert said(flow_control=both) is None


@pytest.mark.parametrize(
    ("asked", "given"), [(1, 16_384), (20_000, 20_000), (1 << 31, (1 << 24) - 1)]
)
def test_the_size_of_frames_is_bounded(asked: int, given: int) -> None:
    found = said(internals=Params.Internals(max_frame_size=asked))
    assert found == Http2Params((("max_frame_size", given),))


def test_the_same_parameters_are_the_same_limits() -> None:
    side = load(environment()).outbound
    tuning = Http2Tuning(side)
    found = tuning.limits(Http2Params(KEPT))
    assert found is not None
    assert found is tuning.limits(Http2Params(KEPT))
    assert (found.ping_interval_ns, found.ping_timeout_ns) == (5 * S, 2 * S)
    assert found.initial_stream_window == limits(side).initial_stream_window
    assert tuning.limits(None) is None
