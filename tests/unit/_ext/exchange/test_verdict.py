"""What an answer says about the endpoint that gave it."""

import pytest

from linkerd2_py._ext.exchange.testing import hold, verdict, weight

NONE = -1
SECOND = 10**9
NOON = 784_111_777  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, 0),
        (404, 0),
        (429, 1),
        (500, 0.5),
        (501, 0.5),
        (502, 1),
        (503, 1),
        (504, 1),
        (599, 0.5),
    ],
)
def test_how_much_of_a_failure_a_status_is(status: int, expected: float) -> None:
    assert weight(status, NONE) == expected


def test_how_much_of_a_failure_a_grpc_status_is() -> None:
    found = {code: weight(200, code) for code in range(17)}
    assert {code for code, share in found.items() if share == 1} == {8, 14}
    assert {code for code, share in found.items() if share == 0.5} == {2, 4, 13, 15}
    assert set(found.values()) == {0, 0.5, 1}


@pytest.mark.parametrize(
    ("status", "grpc_status", "expected"),
    [
        (200, NONE, "success"),
        (404, NONE, "success"),
        (429, NONE, "limited"),
        (500, NONE, "failure"),
        (599, NONE, "failure"),
        (503, 0, "failure"),
        (429, 14, "failure"),
        (503, 8, "limited"),
    ],
)
def test_what_an_answer_is_to_a_breaker(status: int, grpc_status: int, expected: str) -> None:
    assert verdict(status, grpc_status) == expected


def test_what_a_grpc_status_is_to_a_breaker() -> None:
    found = {code: verdict(200, code) for code in range(17)}
    assert {code for code, one in found.items() if one == "failure"} == {2, 4, 7, 13, 14, 15}
    assert {code for code, one in found.items() if one == "limited"} == {8}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"retry-after", b"3", 3 * SECOND),
        (b"Retry-After", b"0", 0),
        (b"retry-after", b"Sun, 06 Nov 1994 08:49:42 GMT", 5 * SECOND),
        (b"retry-after", b"Sun, 06 Nov 1994 08:49:30 GMT", 0),
        (b"retry-after", b"soon", 0),
        (b"retry-after", b"", 0),
        (b"retry-after", b"1" * 10, 0),
        (b"retry-after", b"x" * 100, 0),
        (b"grpc-retry-pushback-ms", b"250", 250_000_000),
        (b"grpc-retry-pushback-ms", b"-1", 0),
        (b"x-other", b"3", 0),
    ],
)
def test_how_long_an_endpoint_asks_to_be_left_alone(
    name: bytes, value: bytes, expected: int
) -> None:
    assert hold([(name, value)], NOON) == expected


def test_what_all_of_http_says_comes_before_what_grpc_says() -> None:
    fields = [(b"grpc-retry-pushback-ms", b"250"), (b"retry-after", b"1")]
    assert hold(fields, NOON) == SECOND
