"""Body framing: runs of content, chunk lines to the letter, trailers, and the bounds on all of them."""

import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http1.testing import ParseError, read_body

STEPS = [0, 1, 2, 3, 5, 8]


@pytest.mark.parametrize("step", STEPS)
def test_a_length_takes_its_bytes_and_no_more(step: int) -> None:
    assert read_body(b"abcdeREST", length=5, step=step) == (b"abcde", [], [], 5, True)


def test_a_short_body_is_not_done() -> None:
    body, _, _, used, done = read_body(b"abc", length=5)
    assert (body, used, done) == (b"abc", 3, False)


def test_until_close_takes_everything_and_is_never_done() -> None:
    body, _, _, used, done = read_body(b"abc")
    assert (body, used, done) == (b"abc", 3, False)


@pytest.mark.parametrize("step", STEPS)
def test_chunks_are_joined_and_trailers_read(step: int) -> None:
    message = (
        b'3\r\nabc\r\n00A;name="v" x\r\n0123456789\r\n0\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\nREST'
    )
    body, trailers, dropped, used, done = read_body(message, chunked=True, step=step)
    assert body == b"abc0123456789"
    assert trailers == [(b"X-Sum", b"1"), (b"grpc-status", b"0")]
    assert dropped == []
    assert used == len(message) - 4
    assert done


@pytest.mark.parametrize("step", STEPS)
def test_an_empty_chunked_body(step: int) -> None:
    assert read_body(b"0\r\n\r\nREST", chunked=True, step=step) == (b"", [], [], 5, True)


def test_every_cut_of_a_chunked_body_is_unfinished() -> None:
    message = b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"
    assert not any(read_body(message[:cut], chunked=True)[4] for cut in range(len(message)))


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"\r\n", "invalid chunk size"),
        (b"x\r\n", "invalid chunk size"),
        (b"+3\r\nabc\r\n", "invalid chunk size"),
        (b"-1\r\n", "invalid chunk size"),
        (b"0x3\r\nabc\r\n", "invalid chunk size"),
        (b" 3\r\nabc\r\n", "invalid chunk size"),
        (b"3 \r\nabc\r\n", "invalid chunk size"),
        (b"3 ;a\r\nabc\r\n", "invalid chunk size"),
        (b"3\t\r\nabc\r\n", "invalid chunk size"),
        (b"3_0\r\n", "invalid chunk size"),
        (b"3\nabc\r\n", "invalid chunk size"),
        (b"3\rabc", "invalid chunk size"),
        (b"3\r\r\nabc", "invalid chunk size"),
        (b"8000000000000000\r\n", "invalid chunk size"),
        (b"FFFFFFFFFFFFFFFF\r\n", "invalid chunk size"),
        (b"00000000000000003\r\n", "invalid chunk size"),
        (b"3;\r\nabc\r\n", "invalid chunk extension"),
        (b"3; a\r\nabc\r\n", "invalid chunk extension"),
        (b"3;a\nb\r\nabc\r\n", "invalid chunk extension"),
        (b"3;a\rb\r\nabc\r\n", "invalid chunk extension"),
        (b"3;a\0\r\nabc\r\n", "invalid chunk extension"),
        (b"3;a\tb\r\nabc\r\n", "invalid chunk extension"),
        (b"3;a\x80\r\nabc\r\n", "invalid chunk extension"),
        (b"3\r\nabcd\r\n", "chunk not ended by CRLF"),
        (b"3\r\nabc\n0\r\n\r\n", "chunk not ended by CRLF"),
        (b"3\r\nabc\r0\r\n\r\n", "chunk not ended by CRLF"),
        (b"3\r\nabc\r\r\n", "chunk not ended by CRLF"),
        (b"3\r\nabcXX0\r\n\r\n", "chunk not ended by CRLF"),
        (b"0\r\n\n", "bare LF in message head"),
        (b"0\r\nA: b\n\r\n", "bare LF in message head"),
        (b"0\r\nA: b\rc\r\n\r\n", "bare CR in message head"),
        (b"0\r\nA : b\r\n\r\n", "whitespace before colon in header field"),
        (b"0\r\n: b\r\n\r\n", "empty header field name"),
        (b"0\r\nGET / HTTP/1.1\r\n\r\n", "invalid header field name"),
        (b"0\r\n b: c\r\n\r\n", "folded header field"),
    ],
)
def test_broken_chunks_are_refused(message: bytes, text: str, step: int) -> None:
    with pytest.raises(ParseError) as refused:
        read_body(message, chunked=True, step=step)
    assert refused.value.text == text


def test_the_largest_size_is_read() -> None:
    body, _, _, used, done = read_body(b"7FFFFFFFFFFFFFFF\r\nabc", chunked=True)
    assert (body, used, done) == (b"abc", 21, False)


@pytest.mark.parametrize("step", [0, 1])
def test_bounds_on_lines_extensions_and_trailers(step: int) -> None:
    limits = Limits(chunk_line_bytes=16, chunk_extension_bytes=20, trailer_bytes=32, head_fields=2)
    for message, text in (
        (b"3;" + b"a" * 20, "chunk line too long"),
        (b"1;aaaaaaaa\r\nx\r\n" * 3, "chunk extensions too large"),
        (b"0\r\nA: " + b"x" * 40, "trailer section too large"),
        (b"0\r\nA: " + b"x" * 40 + b"\r\n\r\n", "trailer section too large"),
        (b"0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", "too many header fields"),
    ):
        with pytest.raises(ParseError) as refused:
            read_body(message, chunked=True, limits=limits, step=step)
        assert refused.value.text == text


def test_framing_and_routing_fields_never_trail() -> None:
    names = (
        b"Host Connection Keep-Alive Proxy-Connection TE Trailer Transfer-Encoding Upgrade Content-Length Content-Type Content-Encoding "
        b"Content-Range Expect Authorization Cookie Set-Cookie Cache-Control Max-Forwards HTTP2-Settings Proxy-Authorization "
        b"Proxy-Authenticate l5d-orig-proto l5d-dst-override l5d-client-id Forwarded X-Forwarded-For"
    ).split()
    section = b"".join(name + b": 1\r\n" for name in names)
    _, trailers, dropped, _, done = read_body(b"0\r\n" + section + b"X: y\r\n\r\n", chunked=True)
    assert done
    assert trailers == [(b"X", b"y")]
    assert [name for name, _ in dropped] == names
