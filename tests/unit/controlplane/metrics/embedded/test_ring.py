"""The sample store: one timeline a pod, gaps where nothing was, a bounded past."""

import pytest

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.metrics.embedded import ring
from linkerd2_py.controlplane.metrics.embedded.exposition import ExpositionError
from linkerd2_py.controlplane.metrics.embedded.ring import (
    SampleStore,
    Series,
    Span,
    TooManySeriesError,
)
from linkerd2_py.controlplane.metrics.store import Selection

POD = Key("default", "web-0")
LABELS = {"namespace": "default", "pod": "web-0"}
EVERYTHING = Selection()
ALL = {"start_ms": 0, "end_ms": 10**15}


def store_with(*texts: str | None) -> SampleStore:
    """One turn a second from second 1; None is a turn that failed."""
    store = SampleStore(retention_s=100)
    for second, text in enumerate(texts, start=1):
        if text is None:
            store.leave_gap(POD, at_ms=second * 1000)
        else:
            store.append(POD, labels=LABELS, text=text, at_ms=second * 1000)
    return store


def select(store: SampleStore, selection: Selection = EVERYTHING) -> list[Series]:
    batches = store.batches("response_total")
    return [series for batch in batches for _, series in batch.select(selection)]


def only(store: SampleStore) -> Series:
    (series,) = select(store)
    return series


def test_samples_have_the_labels_of_their_pod() -> None:
    store = store_with('response_total{tls="true",pod="liar"} 1\n')
    assert only(store).labels == {"tls": "true", "namespace": "default", "pod": "web-0"}


def test_a_window_has_both_its_ends() -> None:
    series = only(store_with(*(f"response_total {n}\n" for n in range(1, 6))))
    assert series.window(start_ms=2000, end_ms=4000) == [(2000, 2.0), (3000, 3.0), (4000, 4.0)]


def test_missing_samples_are_gaps() -> None:
    series = only(store_with("", "response_total 1\n", None, "", "response_total 2\n"))
    assert series.window(**ALL) == [(2000, 1.0), (5000, 2.0)]
    assert series.latest(start_ms=0, end_ms=5000) == 2.0
    assert series.latest(start_ms=0, end_ms=4500) is None
    assert series.latest(start_ms=0, end_ms=2500) == 1.0
    assert series.latest(start_ms=0, end_ms=1500) is None
    assert series.latest(start_ms=0, end_ms=500) is None
    assert series.latest(start_ms=6000, end_ms=7000) is None


TURNS = ("", "1", "3", None, "", "4", "9", "2", "2", "5", "8", None, "1", "7")


def test_a_span_is_what_its_window_has() -> None:
    """With gaps, resets, a late beginning, and windows that begin and end anywhere."""
    series = only(store_with(*(f"response_total {n}\n" if n else n for n in TURNS)))
    for start in range(0, 15_000, 500):
        for end in range(start, 15_500, 500):
            window = series.window(start_ms=start, end_ms=end)
            assert series.span(start_ms=start, end_ms=end) == Span.of(window), (start, end)


def test_a_span_undoes_resets() -> None:
    series = only(store_with(*(f"response_total {n}\n" for n in (4, 9, 2, 5, 1))))
    assert series.span(**ALL) == Span(1000, 4.0, 5000, 1.0, 5, lost=14.0)


@pytest.mark.parametrize("odd", ["+Inf", "-Inf", "NaN", "1e308", "-1e30"])
def test_what_no_proxy_counts_is_a_gap(odd: str) -> None:
    store = store_with(f'response_total{{a="1"}} {odd}\nresponse_total{{a="2"}} 7\n')
    found = [series.window(**ALL) for series in select(store)]
    assert found == [[], [(1000, 7.0)]]


def test_nothing_is_kept_of_a_malformed_text() -> None:
    store = store_with("response_total 1\n")
    for text in ("response_total 2\nbroken\n", "response_total 2\nresponse_total 3\n"):
        with pytest.raises(ExpositionError):
            store.append(POD, labels=LABELS, text=text, at_ms=2000)
    assert only(store).window(**ALL) == [(1000, 1.0)]


def test_a_pod_with_too_many_series_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "MOST_SERIES", 2)
    store = store_with("response_total 1\n")
    text = "".join(f'response_total{{a="{n}"}} 1\n' for n in range(2))
    with pytest.raises(TooManySeriesError):
        store.append(POD, labels=LABELS, text=text, at_ms=2000)


def test_families_nobody_asks_about_are_not_kept() -> None:
    store = store_with("other_total 1\n", "other_total 2\n")
    assert list(store.batches("other_total")) == []


def test_time_that_does_not_move_on_adds_nothing() -> None:
    store = store_with("response_total 1\n")
    store.append(POD, labels=LABELS, text="response_total 2\n", at_ms=1000)
    assert only(store).window(**ALL) == [(1000, 1.0)]


def test_old_samples_and_dead_series_are_dropped() -> None:
    store = store_with('response_total{a="old"} 1\n')
    for second in range(2, 400):
        store.append(POD, labels=LABELS, text="response_total 1\n", at_ms=second * 1000)
    series = only(store)
    assert "a" not in series.labels
    # The retention, and the minute of slack until the next trimming.
    assert 100 <= len(series.values) <= 161
    assert len(series.timeline.times) <= 161


def test_a_pod_that_is_gone_is_kept_as_long_as_its_samples() -> None:
    store = store_with("response_total 1\n")
    store.forget(now_ms=100_000)
    assert store.pods == 1
    store.forget(now_ms=102_000)
    assert store.pods == 0
    store.leave_gap(POD, at_ms=103_000)
    assert store.pods == 0


def test_a_missing_label_has_the_empty_value() -> None:
    store = store_with('response_total{tls="true"} 1\nresponse_total 2\n')
    assert only_value(store, {"tls": ""}) == 2.0
    assert only_value(store, {"tls": "true", "pod": "web-0"}) == 1.0


@pytest.mark.parametrize(
    ("present", "values"), [((), [1, 2, 3]), (("tls",), [1, 2]), (("tls", "peer"), [2])]
)
def test_labels_may_have_to_be_present(present: tuple[str, ...], values: list[float]) -> None:
    store = store_with(
        'response_total{tls="x",peer=""} 1\nresponse_total{tls="y",peer="z"} 2\nresponse_total 3\n'
    )
    found = select(store, Selection({"pod": "web-0"}, present=present))
    assert [series.values[-1] for series in found] == values


@pytest.mark.parametrize(
    ("without", "values"),
    [
        ({}, [1, 2, 3]),
        ({"target_port": "4191"}, [1, 3]),
        ({"target_port": "80", "tls": "x"}, [2, 3]),
    ],
)
def test_labels_may_have_to_be_different(without: dict[str, str], values: list[float]) -> None:
    store = store_with(
        'response_total{target_port="80"} 1\nresponse_total{target_port="4191"} 2\nresponse_total 3\n'
    )
    found = select(store, Selection({"pod": "web-0"}, without=without))
    assert [series.values[-1] for series in found] == values


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("web.shop", "web.shop:80"),
        ("web.shop:80", "web.shop:80"),
        ("web.shop:8080", "web.shop:8080"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ("web:http", "web:http"),
        ("", ""),
    ],
)
def test_an_authority_has_a_port(said: str, kept: str) -> None:
    (series,) = select(store_with(f'response_total{{authority="{said}"}} 1\n'), Selection())
    assert series.labels["authority"] == kept


def only_value(store: SampleStore, matching: dict[str, str]) -> float:
    (series,) = select(store, Selection(matching))
    return series.values[-1]
