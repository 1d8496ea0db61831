"""The frame meter: which frames are charged, and that cutting the bytes anywhere changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.http2.testing import count_frames, frames_borne

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    2,
    3,
    4,
    6,
    7,
    8,
    9,
)


def frame(kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags, 0, 0, 0, 1]) + payload


@pytest.mark.parametrize(
    ("wire", "charged"),
    [
        (frame(DATA, 0, b"x"), 0),
        (frame(DATA, 0, b""), 1),
        (frame(DATA, 1, b""), 0),
        (frame(HEADERS, 4, b"block"), 0),
        (frame(CONTINUATION, 0, b""), 1),
        (frame(PRIORITY, 0, b"12345"), 1),
        (frame(RST_STREAM, 0, b"1234"), 0),
        (frame(SETTINGS, 0, b""), 1),
        (frame(SETTINGS, 1, b""), 0),
        (frame(PING, 0, b"12345678"), 1),
        (frame(PING, 1, b"12345678"), 0),
        (frame(WINDOW_UPDATE, 0, b"1234"), 1),
        (frame(GOAWAY, 0, b"12345678"), 1),
        (frame(200, 255, b"unknown"), 1),
        (b"", 0),
    ],
)
def test_each_frame_costs_what_it_should(wire: bytes, charged: int) -> None:
    assert count_frames(wire) == charged
    assert count_frames(PREFACE + wire, preface=True) == charged


def test_a_frame_is_charged_with_its_header_not_its_end() -> None:
    assert count_frames(frame(PING, 0, b"12345678")[:9]) == 1
    assert count_frames(frame(PING, 0, b"12345678")[:8]) == 0


def test_bytes_that_look_like_frames_inside_a_payload_are_not_counted() -> None:
    inner = frame(PING, 0, b"12345678") * 5
    assert count_frames(frame(DATA, 0, inner) + frame(RST_STREAM, 0, b"1234")) == 0


@pytest.mark.parametrize(
    ("earned", "borne"), [(0, 5), (1, 6), (49, 54), (50, 55), (51, 55), (1000, 55)]
)
def test_ten_limits_may_be_saved_up_and_no_more(earned: int, borne: int) -> None:
    assert frames_borne(5, earned=earned) == borne


frames = st.builds(frame, st.integers(0, 12), st.integers(0, 255), st.binary(max_size=40))


@given(st.lists(frames, max_size=20), st.lists(st.integers(0, 900), max_size=10))
def test_cuts_change_nothing(pieces: list[bytes], cuts: list[int]) -> None:
    wire = PREFACE + b"".join(pieces)
    inside = sorted(cut for cut in cuts if cut <= len(wire))
    whole = count_frames(wire, preface=True)
    assert count_frames(wire, preface=True, cuts=inside) == whole
    assert count_frames(wire, preface=True, cuts=range(len(wire))) == whole
