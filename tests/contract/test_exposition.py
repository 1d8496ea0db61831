"""The text format against Prometheus' own readers: prometheus_client, and promtool where it is installed."""

import shutil
import subprocess
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.labels import make_labels
from linkerd2_py._ext.metrics.registry import Registry
from tests.support.wait import patience

MS = 1_000_000
EXACT = 2**53 + 1


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} is written twice"
            found[key] = sample.value
    return found


def rendered(registry: Registry) -> str:
    return b"".join(registry.render(0)).decode()


def full_registry() -> tuple[Registry, list[object]]:
    """One of everything."""
    registry = Registry(max_series=2)
    registry.info("proxy_build_info", "Version of this build.", {"version": "1"})
    held: list[object] = []
    for prefix in (b"", b"control_"):
        for number in range(3):
            handle = door.http(registry, prefix, make_labels([("authority", f"web-{number}:80")]))
            door.request(handle)
            door.response(handle, 200, grpc_status=0, latency_ns=3 * MS)
            door.failed(handle, 504, error=1, latency_ns=-1)
            held.append(handle)
    tcp = door.tcp(registry, make_labels([("direction", "inbound"), ("peer", "src")]))
    door.opened(tcp)
    door.closed(tcp, 104, duration_ns=5 * MS)
    gauge = registry.gauge("queue_length", 'Odd \\ help\nwith "lines".')
    gauge.set(1e300)
    return registry, [*held, tcp, gauge]


VALUES = st.text(max_size=40) | st.binary(max_size=40)
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from([200, 204, 404, 500, 503]),
        st.booleans(),
        st.integers(-1, 16),
        st.integers(0, 60_000 * MS),
    ),
    max_size=60,
)


@given(values=st.lists(VALUES, min_size=1, max_size=5))
def test_any_label_value_keeps_the_text_readable(values: list[str | bytes]) -> None:
    registry = Registry()
    names = [f"dst_{at}" for at in range(len(values))]
    handle = door.http(registry, b"", make_labels(list(zip(names, values, strict=True))))
    door.request(handle)
    [labels] = [
        dict(labels) for name, labels in samples(rendered(registry)) if name == "request_total"
    ]
    assert sorted(labels) == names
    for name, value in zip(names, values, strict=True):
        if isinstance(value, str) and value.isprintable():
            assert labels[name] == value


@given(name=st.text(max_size=12), value=st.text(max_size=12))
def test_any_label_name_keeps_the_text_readable(name: str, value: str) -> None:
    registry = Registry()
    counter = registry.counter("c_total", "C.", [(name, value), ("sure", "1")])
    counter.inc(7)
    [(labels, number)] = [
        (dict(labels), number)
        for (sample, labels), number in samples(rendered(registry)).items()
        if sample == "c_total"
    ]
    assert labels["sure"] == "1" and number == 7


@given(requests=REQUESTS)
def test_what_is_read_back_is_what_was_counted(
    requests: list[tuple[int, int, bool, int, int]],
) -> None:
    registry = Registry()
    handles = [door.http(registry, b"", make_labels([("n", str(n))])) for n in range(5)]
    responses: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
    for at, status, failure, grpc_status, latency in requests:
        door.request(handles[at])
        door.response(
            handles[at], status, failure=failure, grpc_status=grpc_status, latency_ns=latency
        )
        responses["request_total", frozenset({("n", str(at))})] += 1
        timed = {("n", str(at)), ("status_code", str(status))}
        responses["response_latency_ms_count", frozenset(timed)] += 1
        labels = timed | {("classification", "failure" if failure else "success")}
        if grpc_status >= 0:
            labels.add(("grpc_status", str(grpc_status)))
        responses["response_total", frozenset(labels)] += 1
    found = samples(rendered(registry))
    assert {
        key: value
        for key, value in found.items()
        if value
        and not key[0].startswith(
            ("process_", "response_latency_ms_bucket", "response_latency_ms_sum")
        )
    } == responses


def test_everything_at_once_is_read_back() -> None:
    registry, held = full_registry()
    found = samples(rendered(registry))
    assert len(held) == 8
    assert found["control_request_total", frozenset({("overflow", "true")})] == 1
    assert found["queue_length", frozenset()] == 1e300


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        (0.1, "0.1"),
        (-3.0, "-3"),
        (1e22, "1e+22"),
    ],
)
def test_gauges_are_written_as_prometheus_writes_them(level: float, text: str) -> None:
    registry = Registry()
    gauge = registry.gauge("g", "G.")
    gauge.set(level)
    assert f"\ng {text}\n" in rendered(registry)


@pytest.mark.parametrize(
    ("count", "written"),
    [(EXACT - 1, EXACT - 1), (EXACT, 0), (EXACT + 5, 5), (2**64 - 1, (2**64 - 1) % EXACT)],
)
def test_counters_wrap_where_a_float_stops_counting(count: int, written: int) -> None:
    registry = Registry()
    counter = registry.counter("c_total", "C.")
    counter.inc(count)
    assert f"\nc_total {written}\n" in rendered(registry)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_but_the_names_that_linkerd_chose() -> None:
    registry, held = full_registry()
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=rendered(registry),
        capture_output=True,
        text=True,
        check=False,
        timeout=30 * patience(),
    )
    assert len(held) == 8
    remarks = (done.stdout + done.stderr).splitlines()
    assert [line for line in remarks if "_ms " not in line] == []
