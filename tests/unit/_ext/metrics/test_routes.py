"""Families of outbound routes, as Linkerd's proxy names and labels them."""

import pytest

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.routes import RouteMetrics
from linkerd2_py._ext.metrics.testing import route_ended

LABELS = [("parent_name", "web"), ("route_name", "canary")]
TEXT = 'parent_name="web",route_name="canary"'


def rendered(registry: Registry, name: str) -> list[str]:
    text = b"".join(registry.render()).decode()
    return [line.removeprefix(name) for line in text.splitlines() if line.startswith(name + "{")]


@pytest.mark.parametrize(
    ("given", "ours", "http", "word"),
    [
        ((200, 0, 0), False, "200", ""),
        ((503, 0, 0), False, "503", ""),
        # What the proxy answers itself has no status of a server, but where a route asks for it.
        ((504, 1, 0), True, "", "FAIL_FAST"),
        ((503, 2, 0), True, "", "LOAD_SHED"),
        ((404, 9, 0), True, "404", ""),
        ((500, 13, 0), True, "500", ""),
        ((502, 3, 0), True, "", "UNKNOWN"),
        ((502, 6, 0), True, "", "IO"),
        ((504, 7, 0), True, "", "RESPONSE_HEADERS_TIMEOUT"),
        # It broke after its head.
        ((200, 6, 0), False, "200", "IO"),
        ((200, 11, 8), False, "200", "CANCEL"),
        ((200, 11, 7), False, "200", "REFUSED"),
        ((200, 11, 11), False, "200", "ENHANCE_YOUR_CALM"),
        ((200, 11, 2), False, "200", "RESET"),
        ((0, 12, 8), False, "", "UNKNOWN"),
        ((0, 13, 2), False, "", "UNKNOWN"),
    ],
)
def test_statuses_and_errors_of_http(
    given: tuple[int, int, int], *, ours: bool, http: str, word: str
) -> None:
    registry = Registry()
    made = RouteMetrics(registry, LABELS)
    status, error, code = given
    route_ended(made, status=status, error=error, code=code, ours=ours)
    name = "outbound_http_route_request_statuses_total"
    assert rendered(registry, name) == [f'{{{TEXT},http_status="{http}",error="{word}"}} 1']


@pytest.mark.parametrize(
    ("grpc_status", "error", "ours", "grpc", "word"),
    [
        (0, 0, False, "OK", ""),
        (14, 0, False, "UNAVAILABLE", ""),
        (99, 0, False, "UNKNOWN", ""),
        (-1, 0, False, "UNKNOWN", ""),
        (4, 1, True, "UNKNOWN", "FAIL_FAST"),
        (5, 9, True, "NOT_FOUND", ""),
    ],
)
def test_statuses_of_grpc(
    grpc_status: int, error: int, *, ours: bool, grpc: str, word: str
) -> None:
    registry = Registry()
    made = RouteMetrics(registry, LABELS, grpc=True, of_backend=True)
    route_ended(made, status=200, grpc_status=grpc_status, error=error, ours=ours)
    name = "outbound_grpc_route_backend_response_statuses_total"
    assert rendered(registry, name) == [f'{{{TEXT},grpc_status="{grpc}",error="{word}"}} 1']


def test_each_status_has_a_counter_that_goes_on() -> None:
    registry = Registry()
    made = RouteMetrics(registry, LABELS)
    for status in (200, 200, 404, 200):
        route_ended(made, status=status)
    # Another of the same labels counts on.
    route_ended(RouteMetrics(registry, LABELS), status=404)
    name = "outbound_http_route_request_statuses_total"
    assert [line[-1] for line in rendered(registry, name)] == ["3", "2"]


def test_durations_are_in_seconds() -> None:
    registry = Registry()
    route_ended(RouteMetrics(registry, LABELS), status=200, took_ns=400_000_000)
    backend = RouteMetrics(registry, LABELS, of_backend=True)
    route_ended(backend, status=200, took_ns=400_000_000)
    route_ended(backend, status=200, took_ns=-1)
    text = b"".join(registry.render()).decode()
    route = "outbound_http_route_request_duration_seconds"
    assert f'{route}_bucket{{{TEXT},le="0.05"}} 0\n' in text
    assert f'{route}_bucket{{{TEXT},le="0.5"}} 1\n' in text
    of_backend = "outbound_http_route_backend_response_duration_seconds"
    assert f'{of_backend}_bucket{{{TEXT},le="0.25"}} 0\n' in text
    assert f'{of_backend}_bucket{{{TEXT},le="0.5"}} 1\n' in text
    assert f"{of_backend}_count{{{TEXT}}} 1\n" in text
