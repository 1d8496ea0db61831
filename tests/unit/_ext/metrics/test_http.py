"""One HTTP label set: how responses split into series, classification, bounds."""

import re

import pytest

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry

MS = 1_000_000


def lines(registry: Registry, start: str) -> list[str]:
    text = b"".join(registry.render(0)).decode()
    return [line for line in text.splitlines() if line.startswith(start)]


@pytest.mark.parametrize(
    ("status", "grpc_status", "is_grpc", "failure"),
    [
        (200, -1, False, False),
        (404, -1, False, False),
        (499, -1, False, False),
        (500, -1, False, True),
        (503, -1, False, True),
        (200, 0, True, False),
        (200, 14, True, True),
        (200, 14, False, True),
        (500, 0, True, False),
        (200, -1, True, True),
    ],
)
def test_classification(status: int, grpc_status: int, is_grpc: bool, failure: bool) -> None:
    assert door.is_failure(status, grpc_status=grpc_status, is_grpc=is_grpc) is failure


def test_responses_split_by_status_classification_and_grpc_status_in_that_order() -> None:
    registry = Registry()
    handle = door.http(registry, b"", b'direction="inbound"')
    door.response(handle, 503, failure=True)
    door.response(handle, 200, grpc_status=14, failure=True)
    door.response(handle, 200, grpc_status=0)
    door.response(handle, 200, grpc_status=0)
    assert lines(registry, "response_total") == [
        'response_total{direction="inbound",status_code="200",classification="success",grpc_status="0"} 2',
        'response_total{direction="inbound",status_code="200",classification="failure",grpc_status="14"} 1',
        'response_total{direction="inbound",status_code="503",classification="failure"} 1',
    ]


def test_a_response_made_by_the_proxy_carries_its_error() -> None:
    registry = Registry()
    handle = door.http(registry, b"", b"")
    door.failed(handle, 504, error=1, latency_ns=-1)
    assert lines(registry, "response_total") == [
        'response_total{status_code="504",classification="failure",error="failfast"} 1'
    ]


def test_every_error_text_is_distinct_and_needs_no_escape() -> None:
    texts = door.error_texts()
    assert texts[0] == "" and len(set(texts)) == len(texts)
    assert all(re.fullmatch(r"[a-z/ ]+", text) for text in texts[1:])


def test_an_error_beyond_the_closed_set_is_unexpected() -> None:
    assert door.error_text(200) == "unexpected"


def test_latency_is_split_by_status_only() -> None:
    registry = Registry()
    handle = door.http(registry, b"", b"")
    door.response(handle, 200, grpc_status=0, latency_ns=3 * MS)
    door.response(handle, 200, grpc_status=2, failure=True, latency_ns=4 * MS)
    assert lines(registry, "response_latency_ms_count") == [
        'response_latency_ms_count{status_code="200"} 2'
    ]
    assert lines(registry, "response_latency_ms_sum") == [
        'response_latency_ms_sum{status_code="200"} 7'
    ]


def test_a_response_without_latency_counts_only_as_response() -> None:
    registry = Registry()
    handle = door.http(registry, b"", b"")
    door.response(handle, 200, latency_ns=-1)
    assert door.cell_counts(handle) == (1, 0)


@pytest.mark.parametrize("status", [-1, 1000, 70_000])
def test_a_status_beyond_three_digits_is_counted_as_zero(status: int) -> None:
    registry = Registry()
    door.response(door.http(registry, b"", b""), status)
    assert lines(registry, "response_total") == [
        'response_total{status_code="0",classification="success"} 1'
    ]


@pytest.mark.parametrize("grpc_status", [-7, 17, 2**31 - 1])
def test_an_unknown_grpc_status_is_counted_as_unknown(grpc_status: int) -> None:
    registry = Registry()
    door.response(door.http(registry, b"", b""), 200, grpc_status=grpc_status, failure=True)
    assert 'grpc_status="2"' in lines(registry, "response_total")[0]


def test_a_server_that_varies_its_statuses_cannot_grow_the_table_without_bound() -> None:
    registry = Registry()
    handle = door.http(registry, b"", b"")
    for status in range(100, 1000):
        for grpc_status in range(17):
            door.response(handle, status, grpc_status=grpc_status, failure=grpc_status > 0)
    # The two folded classifications and the folded latency come on top.
    assert door.cell_counts(handle) == (256 + 2, 64 + 1)
    counted = sum(int(line.rsplit(" ", 1)[1]) for line in lines(registry, "response_total"))
    assert counted == 900 * 17
    timed = sum(
        int(line.rsplit(" ", 1)[1]) for line in lines(registry, "response_latency_ms_count")
    )
    assert timed == 900 * 17


def test_one_histogram_takes_less_than_half_a_kibibyte() -> None:
    latency, response, close = door.cell_sizes()
    # Room doubles, so that a table may hold as much again as it uses.
    assert 2 * (latency + response) <= 512 and 2 * close <= 512
