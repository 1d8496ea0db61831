"""Our heads as the arrays of fields that libnghttp2 encodes."""

import pytest

from linkerd2_py._ext.http2.testing import request_to_send, response_to_send, trailers_to_send

ASKED = (b"GET", b"/path", b"web.shop", b"https")


def named(sent: list[tuple[bytes, bytes, bool]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value, _ in sent]


def test_a_request_begins_with_its_pseudo_fields() -> None:
    assert named(request_to_send(*ASKED, [(b"accept", b"*/*")])) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/path"),
        (b":authority", b"web.shop"),
        (b"accept", b"*/*"),
    ]


def test_what_http1_did_not_say_is_filled_in() -> None:
    assert named(request_to_send(b"GET", b"", b"", b"", [])) == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":path", b"/"),
    ]


@pytest.mark.parametrize(
    ("status", "text"), [(200, b"200"), (101, b"101"), (999, b"999"), (0, b"0")]
)
def test_a_response_begins_with_its_status(status: int, text: bytes) -> None:
    assert named(response_to_send(status, [(b"server", b"go")])) == [
        (b":status", text),
        (b"server", b"go"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"host",
    ],
)
def test_what_belongs_to_a_connection_of_http1_stays_there(name: bytes) -> None:
    """RFC 9113 section 8.2.2."""
    sent = response_to_send(200, [(b"before", b"1"), (name, b"value"), (b"after", b"2")])
    assert named(sent)[1:] == [(b"before", b"1"), (b"after", b"2")]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"trailers", True),
        (b"TRAILERS", True),
        (b"gzip, \ttrailers ", True),
        (b"trailers,deflate", True),
        (b"trailers;q=0.5", False),
        (b"gzip", False),
        (b"trailersx", False),
        (b"", False),
        (b",,", False),
    ],
)
def test_te_says_trailers_or_nothing(value: bytes, kept: bool) -> None:
    sent = named(request_to_send(*ASKED, [(b"te", value)]))[4:]
    assert sent == ([(b"te", b"trailers")] if kept else [])


def test_there_is_one_content_length_however_often_it_was_said() -> None:
    sent = response_to_send(200, [(b"content-length", b"5"), (b"content-length", b"5")])
    assert named(sent)[1:] == [(b"content-length", b"5")]


@pytest.mark.parametrize("length", [0, 7, 10, 2**63 - 1])
def test_a_length_is_written_as_it_was_understood(length: int) -> None:
    """Whatever else its field says, the other side must read the same number."""
    sent = response_to_send(200, [(b"content-length", b"5, 5")], length=length)
    assert named(sent)[1:] == [(b"content-length", b"%d" % length)]


def test_trailers_have_no_pseudo_fields_and_outlive_the_array() -> None:
    trailers = [(b"grpc-status", b"0"), (b"grpc-message", b"")]
    assert named(trailers_to_send(trailers)) == trailers


@pytest.mark.parametrize("sensitive", [False, True])
def test_what_must_not_be_remembered_says_so(sensitive: bool) -> None:
    """RFC 7541 section 7.1.3: an intermediary keeps a literal that is never indexed."""
    assert trailers_to_send([(b"secret", b"1")], sensitive=sensitive) == [
        (b"secret", b"1", sensitive)
    ]


def test_no_trailers_are_none() -> None:
    assert trailers_to_send([]) == []


def test_there_is_room_for_any_number() -> None:
    many = [(b"name-%d" % n, b"value-%d" % n) for n in range(5000)]
    assert named(request_to_send(*ASKED, many))[4:] == many
