"""Reading the Prometheus text format: what its own client writes, and what it must not be."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from linkerd2_py.controlplane.metrics.embedded.exposition import (
    ExpositionError,
    parse_head,
    read_lines,
)

Sample = tuple[str, dict[str, str], float]


def read(text: str) -> list[Sample]:
    found = []
    for line, head, value in read_lines(text):
        name, labels = parse_head(head, line=line)
        found.append((name, dict(labels), value))
    return found


def by_the_client(text: str) -> list[Sample]:
    return [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def test_what_the_python_client_writes_is_read_the_same() -> None:
    registry = CollectorRegistry()
    counter = Counter("response", "Responses", ["authority", "tls"], registry=registry)
    counter.labels('a"b\\c\nd', "true").inc(3)
    Gauge("tcp_open_connections", "Open {now}", registry=registry).set(math.inf)
    Histogram("latency_ms", "Latency", buckets=(1, 2.5), registry=registry).observe(2)
    text = generate_latest(registry).decode()
    assert read(text) == by_the_client(text)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=20)))
def test_any_label_values_survive(labels: dict[str, str]) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("things", "Things", [f"l_{name}" for name in labels], registry=registry)
    (gauge.labels(*labels.values()) if labels else gauge).set(1)
    text = generate_latest(registry).decode("utf-8", "surrogatepass")
    assert read(text) == [("things", {f"l_{name}": text for name, text in labels.items()}, 1.0)]


@pytest.mark.parametrize(
    ("line", "sample"),
    [
        ("a 1", ("a", {}, 1.0)),
        ("a:b_c1 -2.5e3 1700000000000", ("a:b_c1", {}, -2500.0)),
        ("a{} .5", ("a", {}, 0.5)),
        ('a{b="c",} +Inf', ("a", {"b": "c"}, math.inf)),
        ('a { b = "c" , d="} 1" } 7 -5', ("a", {"b": "c", "d": "} 1"}, 7.0)),
        ("a\t1.", ("a", {}, 1.0)),
    ],
)
def test_lines_that_are_samples(line: str, sample: Sample) -> None:
    assert read(f"# HELP a b\n# TYPE a counter\n\n{line}\n# EOF\n") == [sample]


def test_not_a_number_is_a_value() -> None:
    ((_, _, value),) = read("a NaN\n")
    assert math.isnan(value)


@pytest.mark.parametrize(
    "line",
    [
        "a",
        " ",
        "a 1 2 3",
        "a 1 now",
        "a 1_0",
        "a 0x10",
        "a ١",
        "a one",
        "a 1e",
        "1a 1",
        "a-b 1",
        'a{b="c" 1',
        "a{b=c} 1",
        'a{b="c"d="e"} 1',
        'a{b="c",,} 1',
        'a{b="c",b="d"} 1',
        'a{1b="c"} 1',
        'a{b="\\t"} 1',
        'a{b="c"} 1 # {id="x"} 1',
        '{b="c"} 1',
        "# TYPE a thing",
        "# TYPE a",
    ],
)
def test_lines_that_are_not_are_named(line: str) -> None:
    with pytest.raises(ExpositionError, match=r"^line 2: "):
        read(f"ok 1\n{line}\n")


def test_text_that_was_cut_off_is_refused() -> None:
    with pytest.raises(ExpositionError, match="cut off"):
        read("a 1\nb 1")
    assert read("") == []


@given(st.text(alphabet='ab{}="\\,\n 1e.+-#', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text + "\n")
    except ExpositionError as error:
        assert str(error)  # noqa: PT017
