"""Identity, bound and expiry of series."""

import pytest

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry

SECOND = 1_000_000_000
TEN_MINUTES = 600 * SECOND


def text_of(registry: Registry, now: int = 0) -> str:
    return b"".join(registry.render(now)).decode()


def test_the_same_labels_give_the_same_handle() -> None:
    registry = Registry()
    assert door.http(registry, b"", b'a="1"') is door.http(registry, b"", b'a="1"')
    assert door.tcp(registry, b'a="1"') is door.tcp(registry, b'a="1"')
    assert registry.counter("c_total", "C.", {"a": "1"}) is registry.counter(
        "c_total", "C.", {"a": "1"}
    )


def test_a_prefix_has_families_of_its_own() -> None:
    registry = Registry()
    plain = door.http(registry, b"", b'a="1"')
    control = door.http(registry, b"control_", b'a="1"')
    door.request(control)
    assert plain is not control
    text = text_of(registry)
    assert 'control_request_total{a="1"} 1' in text and '\nrequest_total{a="1"} 0' in text


def test_a_prefix_that_is_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match="metric prefix"):
        door.http(Registry(), b"9 ", b"")


@pytest.mark.parametrize(
    "name",
    [
        "9a",
        "a b",
        "",
        "a\n",
        "request_total",
        "control_response_latency_ms",
        "tcp_open_total",
        "process_open_fds",
    ],
)
def test_a_name_that_is_no_name_or_taken_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="metric name"):
        Registry().counter(name, "C.")


def test_a_counter_cannot_become_a_gauge() -> None:
    registry = Registry()
    registry.counter("c_total", "C.")
    with pytest.raises(ValueError, match="is a counter already"):
        registry.gauge("c_total", "C.")


@pytest.mark.parametrize(("series", "retain"), [(0, 1), (1, -1)])
def test_senseless_bounds_are_refused(series: int, retain: int) -> None:
    with pytest.raises(ValueError, match="Registry"):
        Registry(max_series=series, retain_idle_ns=retain)


def test_counters_and_gauges_hold_their_value() -> None:
    registry = Registry()
    counter, gauge = registry.counter("c_total", "C."), registry.gauge("g", "G.")
    counter.inc()
    counter.inc(2)
    gauge.set(2.5)
    gauge.add(-1)
    assert (counter.value, gauge.value) == (3, 1.5)
    assert "c_total 3\n" in text_of(registry) and "\ng 1.5\n" in text_of(registry)


def test_a_counter_cannot_shrink() -> None:
    counter = Registry().counter("c_total", "C.")
    with pytest.raises(OverflowError):
        counter.inc(-1)


def test_label_sets_beyond_the_bound_share_one_series() -> None:
    registry = Registry(max_series=3)
    handles = [door.http(registry, b"", b'a="%d"' % number) for number in range(5)]
    assert handles[3] is handles[4] and handles[3] not in handles[:3]
    for handle in handles:
        door.request(handle)
    text = text_of(registry)
    assert 'request_total{overflow="true"} 2' in text
    assert 'proxy_metrics_overflow_total{family="request_total"} 2' in text


@pytest.mark.parametrize("kind", ["tcp", "counter"])
def test_every_kind_of_family_is_bounded(kind: str) -> None:
    registry = Registry(max_series=1)
    handles = [
        door.tcp(registry, b'a="%d"' % number)
        if kind == "tcp"
        else registry.counter("c_total", "C.", {"a": str(number)})
        for number in range(3)
    ]
    assert handles[1] is handles[2]
    family = "tcp_open_total" if kind == "tcp" else "c_total"
    assert f'proxy_metrics_overflow_total{{family="{family}"}} 2' in text_of(registry)


def test_prefixes_are_bounded_apart() -> None:
    registry = Registry(max_series=1)
    door.http(registry, b"", b'a="1"')
    control = door.http(registry, b"control_", b'a="1"')
    assert control.labels == b'a="1"'


def test_label_text_beyond_the_largest_size_goes_to_the_overflow() -> None:
    registry = Registry()
    assert door.http(registry, b"", b"x" * 5000).labels == b'overflow="true"'


def test_an_idle_series_that_nobody_holds_is_dropped() -> None:
    registry = Registry()
    door.request(door.http(registry, b"", b'a="1"'), now=SECOND)
    assert 'a="1"' in text_of(registry, SECOND + TEN_MINUTES)
    assert 'a="1"' not in text_of(registry, SECOND + TEN_MINUTES + 1)


def test_an_idle_series_that_is_held_stays() -> None:
    registry = Registry()
    handle = door.tcp(registry, b'a="1"')
    door.opened(handle, now=0)
    assert 'a="1"' in text_of(registry, 100 * TEN_MINUTES)
    del handle
    assert 'a="1"' not in text_of(registry, 100 * TEN_MINUTES)


def test_a_dropped_series_starts_again_at_zero() -> None:
    registry = Registry()
    door.request(door.http(registry, b"", b'a="1"'), now=1)
    text_of(registry, 10 * TEN_MINUTES)
    door.http(registry, b"", b'a="1"')
    assert 'request_total{a="1"} 0' in text_of(registry, 0)


def test_an_idle_counter_is_dropped_after_its_last_change_was_seen() -> None:
    registry = Registry()
    registry.counter("c_total", "C.", {"a": "1"}).inc()
    # It has no clock: the first rendering after the change sets its time.
    assert 'c_total{a="1"} 1' in text_of(registry, 5 * TEN_MINUTES)
    assert 'c_total{a="1"} 1' in text_of(registry, 6 * TEN_MINUTES)
    assert "c_total" not in text_of(registry, 6 * TEN_MINUTES + 1)


def test_an_idle_gauge_is_dropped_after_its_last_change_was_seen() -> None:
    registry = Registry()
    registry.gauge("g", "G.", {"a": "1"}).set(1)
    assert 'g{a="1"} 1' in text_of(registry, TEN_MINUTES)
    assert 'g{a="1"} 1' not in text_of(registry, 3 * TEN_MINUTES)


def test_an_info_series_stays() -> None:
    registry = Registry()
    registry.info("proxy_build_info", "Build.", {"version": "1"})
    assert 'proxy_build_info{version="1"} 1' in text_of(registry, 100 * TEN_MINUTES)


def test_idle_series_make_room_before_new_ones_overflow() -> None:
    registry = Registry(max_series=2)
    door.request(door.http(registry, b"", b'a="old"'), now=SECOND)
    live = door.http(registry, b"", b'a="live"')
    door.request(live, now=SECOND + 2 * TEN_MINUTES)
    fresh = door.http(registry, b"", b'a="fresh"')
    assert fresh.labels == b'a="fresh"'
    assert 'a="old"' not in text_of(registry, 0)


def test_the_clock_is_used_when_no_time_is_given() -> None:
    registry = Registry()
    door.request(door.http(registry, b"", b'a="1"'), now=1)
    held = door.http(registry, b"", b'a="2"')
    text = b"".join(registry.render()).decode()
    assert f"{{{held.labels.decode()}}}" in text
