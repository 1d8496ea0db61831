"""gRPC framing and statuses without a connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.base.grpc.frames import FrameReader, frame
from linkerd2_py.base.grpc.status import (
    Code,
    GrpcError,
    status_of,
    status_of_http,
    status_of_reset,
)


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 7))
def test_messages_survive_any_slicing(messages: list[bytes], step: int) -> None:
    raw = b"".join(frame(message) for message in messages)
    reader = FrameReader()
    found = [
        message for at in range(0, len(raw), step) for message in reader.feed(raw[at : at + step])
    ]
    assert found == messages
    assert reader.at_boundary


def test_a_message_that_has_begun_is_seen() -> None:
    reader = FrameReader()
    assert reader.feed(frame(b"abc")[:-1]) == []
    assert not reader.at_boundary


def test_a_compressed_message_is_refused() -> None:
    with pytest.raises(GrpcError) as caught:
        FrameReader().feed(b"\1\0\0\0\0")
    assert caught.value.code == Code.INTERNAL


def test_a_long_message_is_refused_by_its_length() -> None:
    reader = FrameReader(limit=10)
    assert reader.feed(frame(b"x" * 10)) == [b"x" * 10]
    with pytest.raises(GrpcError) as caught:
        reader.feed(b"\0\0\0\0\x0b")
    assert caught.value.code == Code.RESOURCE_EXHAUSTED


def test_status_with_an_escaped_message() -> None:
    status = status_of([(b"grpc-status", b"3"), (b"grpc-message", b"100%25 of %C3%BC %zz")])
    assert status is not None
    assert (status.code, status.message) == (Code.INVALID_ARGUMENT, "100% of ü %zz")
    assert str(GrpcError(Code.ABORTED, "")) == "ABORTED"


def test_no_status() -> None:
    assert status_of([(b"grpc-message", b"x")]) is None


@pytest.mark.parametrize("text", [b"", b"17", b"-1", b"abc", b"1000"])
def test_a_status_nobody_defined_is_unknown(text: bytes) -> None:
    status = status_of([(b"grpc-status", text)])
    assert status is not None
    assert status.code == Code.UNKNOWN


def test_failures_below_grpc() -> None:
    assert status_of_http(503).code == Code.UNAVAILABLE
    assert status_of_http(404).code == Code.UNIMPLEMENTED
    assert status_of_http(418).code == Code.UNKNOWN
    assert status_of_reset("refused", code=7).code == Code.UNAVAILABLE
    assert status_of_reset("cancel", code=8).code == Code.CANCELLED
    assert status_of_reset("lost", code=0).code == Code.UNAVAILABLE
