"""How long an endpoint that cannot be reached is left alone."""

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.pool.testing import delay_ns

MS = 1_000_000


def test_it_doubles_from_the_least_to_the_most() -> None:
    settings = PoolSettings(backoff_min_ns=100 * MS, backoff_max_ns=1000 * MS, backoff_jitter=0.0)
    assert [delay_ns(settings, failures) // MS for failures in range(1, 7)] == [
        100,
        200,
        400,
        800,
        1000,
        1000,
    ]


@given(st.integers(1, 1 << 40), st.integers(1, 2**31 - 1))
def test_it_never_overflows(least: int, failures: int) -> None:
    settings = PoolSettings(backoff_min_ns=least, backoff_max_ns=1 << 41, backoff_jitter=0.0)
    assert least <= delay_ns(settings, failures) <= 1 << 41


@given(st.integers(1, 40))
def test_jitter_lengthens_by_its_share_at_most(failures: int) -> None:
    even = PoolSettings(backoff_min_ns=MS, backoff_max_ns=1000 * MS, backoff_jitter=0.0)
    jittered = PoolSettings(backoff_min_ns=MS, backoff_max_ns=1000 * MS, backoff_jitter=0.5)
    shortest = delay_ns(even, failures)
    assert all(shortest <= delay_ns(jittered, failures) <= shortest * 3 // 2 for _ in range(20))


def test_two_endpoints_of_one_outage_are_probed_apart() -> None:
    settings = PoolSettings(backoff_jitter=0.1)
    assert len({delay_ns(settings, 1) for _ in range(50)}) > 40
