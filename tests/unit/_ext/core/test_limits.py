"""Limits: documented defaults, checked bounds, read-only."""

import pytest

from linkerd2_py._ext.core.limits import BOUNDS, Limits


def test_defaults_are_the_documented_ones() -> None:
    limits = Limits()
    assert (limits.head_bytes, limits.head_fields, limits.request_line_bytes) == (65536, 100, 32768)
    assert (limits.chunk_line_bytes, limits.chunk_extension_bytes, limits.trailer_bytes) == (
        256,
        16384,
        16384,
    )
    assert (limits.interim_responses, limits.head_timeout_ns, limits.keepalive_idle_ns) == (
        100,
        15_000_000_000,
        0,
    )
    assert (limits.max_concurrent_streams, limits.initial_stream_window) == (256, 65535)
    assert (limits.initial_connection_window, limits.max_frame_size) == (1 << 20, 16384)
    assert (limits.header_list_bytes, limits.header_fields, limits.continuation_frames) == (
        65536,
        100,
        8,
    )
    assert (limits.reset_burst, limits.reset_rate, limits.pending_accept_resets) == (1000, 33, 0)
    assert limits.half_close_ns == 5_000_000_000
    assert (limits.anomaly_budget, limits.control_queue) == (100, 1000)
    assert (limits.stalled_send_ns, limits.ping_interval_ns, limits.ping_timeout_ns) == (
        3_600_000_000_000,
        10_000_000_000,
        3_000_000_000,
    )


@pytest.mark.parametrize("name", list(BOUNDS))
def test_each_number_has_bounds_and_is_read_only(name: str) -> None:
    low, high = BOUNDS[name]
    assert getattr(Limits(**{name: low}), name) == low
    assert getattr(Limits(**{name: high}), name) == high
    for outside in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"limit {name} must be between"):
            Limits(**{name: outside})
    with pytest.raises(AttributeError):
        setattr(Limits(), name, low)


def test_only_keywords_are_taken() -> None:
    with pytest.raises(TypeError):
        Limits(65536)  # type: ignore[call-arg]
