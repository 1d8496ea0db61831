"""The scenarios and the subjects they name fit together."""

import pytest

from bench.errors import BenchError
from bench.goals import Figure
from bench.programs import LoadResult
from bench.results import Sample
from bench.scenarios import ALL, cross_check
from bench.scenarios.scenario import Scenario, figures_of
from bench.scenarios.tap import with_told
from bench.scenarios.traffic import Traffic, share_of, with_difference
from bench.subjects import PEERS, subjects


@pytest.mark.parametrize("scenario", ALL.values(), ids=lambda scenario: scenario.name)
def test_a_scenario_names_subjects_that_exist_and_begins_with_ours(scenario: Scenario) -> None:
    known = subjects()
    assert set(scenario.subjects) <= set(known)
    assert known[scenario.subjects[0]].family == "ours"
    assert len(set(scenario.subjects)) == len(scenario.subjects)


@pytest.mark.parametrize("scenario", ALL.values(), ids=lambda scenario: scenario.name)
def test_what_is_asked_is_what_is_answered(scenario: Scenario) -> None:
    if not isinstance(scenario, Traffic):
        return
    asked, answered = scenario.load, scenario.answering
    if asked.protocol in {"http1", "http2", "grpc"}:
        assert asked.bytes == answered.bytes
        assert (asked.messages or 1) == (answered.messages or 1)
    expected = {"grpc": "http2", "tcp-connect": "tcp"}.get(asked.protocol, asked.protocol)
    assert answered.protocol == expected


def test_every_peer_is_some_subjects_family() -> None:
    assert set(PEERS) < {subject.family for subject in subjects().values()}


def test_a_figure_names_itself() -> None:
    assert str(Figure("idle", "ours", "rss_kib")) == "rss_kib of ours in idle"


def result(**fields: object) -> LoadResult:
    known: dict[str, object] = dict.fromkeys(
        ("p50_us", "p90_us", "p99_us", "p999_us", "max_us", "mean_us"), 5.0
    )
    known |= {"exchanges": 1000, "messages": 0, "seconds": 2.0, "bytes": 500_000, "errors": 0}
    known |= {"own_cpu_ns": 4_000_000, "cpu_ns": 10_000_000}
    return LoadResult(**(known | fields))  # type: ignore[arg-type]


def test_figures_are_by_exchange_by_message_and_by_gigabyte() -> None:
    figures = figures_of(result(messages=10_000))
    assert figures["exchanges_per_s"] == 500
    assert figures["cpu_us_per_exchange"] == pytest.approx(10)
    assert figures["cpu_us_per_message"] == pytest.approx(1)
    assert figures["cpu_ms_per_gb"] == pytest.approx(20_000)
    assert figures["load_cpu_us_per_exchange"] == pytest.approx(4)
    assert figures["mb_per_s"] == pytest.approx(0.25)


def test_without_a_watched_process_there_is_no_processor_time() -> None:
    assert not any(key.startswith("cpu") for key in figures_of(result(cpu_ns=None)))


def test_where_nothing_came_back_there_are_no_latencies() -> None:
    assert figures_of(result(exchanges=0)) == {"exchanges_per_s": 0.0}


def test_resumed_sessions_are_a_share_of_the_handshakes() -> None:
    assert figures_of(result(handshakes=40, resumed=30))["resumed"] == 0.75
    assert "resumed" not in figures_of(result())


def test_what_tls_adds_is_the_difference_to_the_mean_of_the_plain_passes() -> None:
    plain = (
        Sample({"cpu_us_per_exchange": 20.0, "p50_us": 9.0}),
        Sample({"cpu_us_per_exchange": 24.0}, errors=1, error_kinds={"reset": 1}),
    )
    secured = Sample({"cpu_us_per_exchange": 25.0, "p50_us": 5.0}, 2, {"tls": 1, "reset": 1})
    found = with_difference(secured, plain)
    assert found == Sample(
        {
            "cpu_us_per_exchange": 25.0,
            "p50_us": 5.0,
            "plain_us_per_exchange": 22.0,
            "added_us_per_exchange": 3.0,
        },
        errors=3,
        error_kinds={"tls": 1, "reset": 2},
    )


def test_where_nothing_was_measured_there_is_no_difference() -> None:
    assert with_difference(Sample({}), (Sample({"cpu_us_per_exchange": 1.0}),)) == Sample({})
    assert with_difference(Sample({"cpu_ms_per_gb": 1.0}), ()) == Sample({"cpu_ms_per_gb": 1.0})


def test_what_a_tap_adds_is_told_for_each_request_and_for_one_in_a_hundred() -> None:
    figures = {
        "plain_us_per_exchange": 20.0,
        "added_us_per_exchange": 3.0,
        "exchanges_per_s": 10_000.0,
    }
    found = with_told(Sample(figures, errors=1), [1000.0])
    assert found.errors == 1
    assert found.figures == {
        **figures,
        "told_per_s": 1000.0,
        "added_us_per_told": 30.0,
        "added_percent": 1.5,
    }


@pytest.mark.parametrize("told", [[], [0.0]])
def test_a_tap_that_hears_nothing_has_measured_nothing(told: list[float]) -> None:
    with pytest.raises(BenchError, match="told of nothing"):
        with_told(Sample({}), told)


def test_the_share_of_one_server() -> None:
    assert share_of(1, before=[10, 10, 10], after=[20, 15, 15]) == 0.25
    assert share_of(0, before=[3], after=[3]) == 0.0


@pytest.mark.parametrize(
    ("name", "text", "sample"),
    [
        (
            "ours-by-wrk",
            (
                "  Socket errors: connect 1, read 2, write 0, timeout 0\n"
                "  Non-2xx or 3xx responses: 4\nRequests/sec:  12345.67\n"
            ),
            Sample({"exchanges_per_s": 12345.67}, 7, {"failed": 7}),
        ),
        (
            "ours-by-h2load",
            (
                "finished in 1.00s, 23456.00 req/s, 3.46MB/s\n"
                "requests: 23456 total, 23456 started, 23456 done, 23456 succeeded, 0 failed, 0 errored\n"
            ),
            Sample({"exchanges_per_s": 23456.0}, 0, {"failed": 0}),
        ),
    ],
)
def test_other_tools_are_understood(name: str, text: str, sample: Sample) -> None:
    assert cross_check.TOOLS[name].read(text) == sample
