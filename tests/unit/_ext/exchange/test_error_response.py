"""Linkerd's error table: which status, text and label a fault has, and how HTTP and gRPC clients read it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from linkerd2_py._ext.exchange.testing import (
    FAULTS,
    Half,
    answer_fault,
    answer_unavailable,
    break_label,
    end_with_trailers,
    own_answers,
)

LATE = {"connect_timeout", "timeout"}
LABELS = {
    "refused": "connect",
    "unreachable": "connect",
    "connect_timeout": "connect_timeout",
    "timeout": "timeout",
    "protocol": "protocol",
    "tls": "tls",
}


def last(half: Half) -> tuple[int, dict[bytes, bytes], bool]:
    """The one response on that half: status, fields but for the date, and whether the connection closes."""
    [(what, status, fields, close)] = half.events
    assert what == "head"
    found = dict(fields)
    said = parsedate_to_datetime(found.pop(b"date").decode())
    assert abs((datetime.now(UTC) - said).total_seconds()) < 60
    return status, found, close


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_the_endpoints_and_the_connection_closes(kind: str) -> None:
    half = Half()
    status, text, close, error = answer_fault(half, kind)
    assert status == (504 if kind in LATE else 502)
    assert error == LABELS.get(kind, "io")
    assert close
    assert text.decode("ascii").isprintable()
    assert last(half) == (status, {b"content-length": b"0"}, True)


@pytest.mark.parametrize(
    ("why", "status", "close", "error"),
    [
        ("failfast", 504, True, "failfast"),
        ("shed", 503, True, "load_shed"),
        ("closed", 503, True, "load_shed"),
        ("loop", 502, True, "loop"),
        ("loop", 403, True, "loop"),
        ("rejected", 404, False, "no_route"),
        ("rejected", 403, False, "unexpected"),
        ("rejected", 502, True, "unexpected"),
    ],
)
def test_only_a_rejection_leaves_the_connection_open(
    why: str, status: int, close: bool, error: str
) -> None:
    half = Half()
    assert answer_unavailable(half, why, status, b"as said") == (status, b"as said", close, error)
    assert last(half) == (status, {b"content-length": b"0"}, close)


def test_who_may_know_why_is_told() -> None:
    half = Half()
    answer_fault(half, "refused", informational=True)
    _status, fields, _close = last(half)
    assert fields[b"l5d-proxy-error"] == answer_fault(Half(), "refused")[1]
    assert fields[b"l5d-proxy-connection"] == b"close"


def test_a_connection_that_stays_is_not_said_to_close() -> None:
    half = Half()
    answer_unavailable(half, "rejected", 404, b"no such place", informational=True)
    assert last(half)[1] == {b"content-length": b"0", b"l5d-proxy-error": b"no such place"}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, 7),
        (404, 5),
        (429, 8),
        (431, 8),
        (502, 14),
        (503, 14),
        (504, 4),
        (508, 10),
        (400, 13),
        (500, 13),
    ],
)
def test_grpc_is_answered_200_with_a_code(status: int, code: int) -> None:
    half = Half("2")
    answer_unavailable(half, "rejected", status, b"as said", grpc=True)
    told, fields, _close = last(half)
    assert told == 200
    assert fields == {
        b"content-type": b"application/grpc",
        b"grpc-status": b"%d" % code,
        b"grpc-message": b"as said",
        b"content-length": b"0",
    }


def test_a_grpc_code_without_a_text_has_no_message() -> None:
    half = Half("2")
    answer_unavailable(half, "rejected", 403, b"", grpc=True, informational=True)
    fields = last(half)[1]
    assert b"grpc-message" not in fields
    assert b"l5d-proxy-error" not in fields


@pytest.mark.parametrize("kind", FAULTS[1:])
def test_trailers_say_why_a_response_broke_and_the_code_is_the_one_that_is_counted(
    kind: str,
) -> None:
    half = Half("2")
    code = end_with_trailers(half, kind)
    assert code == (4 if kind in LATE else 14)
    assert half.events == [
        (
            "trailers",
            [(b"grpc-status", b"%d" % code), (b"grpc-message", answer_fault(Half(), kind)[1])],
        )
    ]


def test_a_reset_stream_is_counted_as_one_and_a_dead_connection_as_its_fault() -> None:
    assert break_label("protocol", 2) == "reset"
    assert break_label("protocol", 0) == "protocol"
    assert break_label("timeout", 0) == "timeout"


def test_answers_of_our_own() -> None:
    expected = {
        "head_too_large": (431, b"request header fields too large", False, "none"),
        "early_body_too_large": (
            503,
            b"request body too large to hold while waiting for an endpoint",
            True,
            "load_shed",
        ),
        "request_refused": (503, b"the endpoint refused the request", True, "reset"),
        "identity_not_met": (
            502,
            b"the endpoint does not have the required identity",
            True,
            "identity",
        ),
    }
    assert own_answers() == expected
