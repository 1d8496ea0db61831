"""Histograms with bounds of their own."""

import pytest

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry

SECOND = 1_000_000_000


def lines(registry: Registry, now: int = 0) -> list[str]:
    text = b"".join(registry.render(now)).decode()
    return [line for line in text.splitlines() if line.startswith("d_seconds")]


def test_values_are_counted_up_to_each_bound_and_summed() -> None:
    registry = Registry()
    handle = registry.distribution("d_seconds", "D.", (0.001, 0.1, 1), {"a": "1"})
    for value in (0.0, 0.001, 0.0011, 1.0, 7.5):
        door.observe(handle, value)
    assert lines(registry) == [
        'd_seconds_bucket{a="1",le="0.001"} 2',
        'd_seconds_bucket{a="1",le="0.1"} 3',
        'd_seconds_bucket{a="1",le="1.0"} 4',
        'd_seconds_bucket{a="1",le="+Inf"} 5',
        'd_seconds_sum{a="1"} 8.5021',
        'd_seconds_count{a="1"} 5',
    ]


def test_without_labels_there_are_no_empty_braces() -> None:
    registry = Registry()
    handle = registry.distribution("d_seconds", "D.", (1.0,))
    door.observe(handle, 2)
    assert lines(registry) == [
        'd_seconds_bucket{le="1.0"} 0',
        'd_seconds_bucket{le="+Inf"} 1',
        "d_seconds_sum 2",
        "d_seconds_count 1",
    ]


def test_a_family_has_one_set_of_bounds() -> None:
    registry = Registry()
    held = registry.distribution("d_seconds", "D.", (1.0,), {"a": "1"})
    assert registry.distribution("d_seconds", "D.", (1.0,), {"a": "1"}) is held
    with pytest.raises(ValueError, match="has the bounds"):
        registry.distribution("d_seconds", "D.", (1.0, 2.0), {"a": "2"})


@pytest.mark.parametrize("bounds", [(), (1.0, 1.0), (2.0, 1.0)])
def test_bounds_rise(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="do not rise"):
        Registry().distribution("d_seconds", "D.", bounds)


def test_one_that_nobody_holds_goes_when_nothing_changed_for_a_while() -> None:
    registry = Registry(retain_idle_ns=60 * SECOND)
    door.observe(registry.distribution("d_seconds", "D.", (1.0,)), 1)
    assert lines(registry, SECOND)
    assert lines(registry, 60 * SECOND)
    assert lines(registry, 62 * SECOND) == []


def test_label_sets_beyond_the_bound_share_one() -> None:
    registry = Registry(max_series=1)
    held = [registry.distribution("d_seconds", "D.", (1.0,), {"a": name}) for name in "abc"]
    for one in held:
        door.observe(one, 0.5)
    assert held[1] is held[2]
    assert 'd_seconds_count{overflow="true"} 2' in lines(registry)
