"""Numbers of the pool."""

import pytest

from linkerd2_py._ext.pool.settings import PoolSettings


def test_the_defaults_are_the_outbound_ones_of_linkerd() -> None:
    settings = PoolSettings()
    assert settings.connect_timeout_ns == 1_000_000_000
    assert settings.failfast_ns == 3_000_000_000
    assert settings.queue_capacity == 10_000
    assert settings.max_in_flight == 100_000
    assert settings.http1_idle_ns == 3_000_000_000
    assert settings.decay_ns == 10e9
    assert settings.default_rtt_ns == 30e6
    assert (settings.backoff_min_ns, settings.backoff_max_ns) == (100_000_000, 60_000_000_000)


def test_each_has_limits_and_socket_options_of_its_own() -> None:
    one, other = PoolSettings(), PoolSettings()
    assert one.limits is not other.limits
    assert one.socket is not other.socket


def test_they_do_not_change_once_made() -> None:
    with pytest.raises(AttributeError):
        PoolSettings().failfast_ns = 1
