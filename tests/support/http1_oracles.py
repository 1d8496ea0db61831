"""What h11 and llhttp (httptools) make of HTTP/1 bytes, in the shape of what our own parser says."""

from dataclasses import dataclass
from typing import Any

import h11
import httptools

from linkerd2_py._ext.http1.testing import (
    ParseError,
    parse_request_bytes,
    parse_response_bytes,
    read_body,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One message: `start` is (method, target) or (status,); names of fields in lower case."""

    start: tuple[bytes | int, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool


class Refused(Exception):
    """The bytes are not a message to this parser."""


# Framing and connection fields belong to one hop: parsers keep, rewrite or drop them as they like.
_HOP = {
    b"connection",
    b"content-length",
    b"http2-settings",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
}


def end_to_end(fields: list[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Fields that must be the same to everyone."""
    lowered = ((name.lower(), value) for name, value in fields)
    return tuple((name, value) for name, value in lowered if name not in _HOP)


def ours(message: bytes, *, request: bool, step: int = 0) -> Seen | None:
    """Our reading of the first message, None while its head is incomplete."""
    try:
        if request:
            head = parse_request_bytes(message, step=step)
        else:
            head = parse_response_bytes(message, step=step)
        if head is None:
            return None
        body, complete = b"", True
        if not head["end"]:
            body, _, _, _, complete = read_body(
                message[head["length"] :],
                chunked=head["chunked"],
                length=head["content_length"],
                step=step,
            )
    except ParseError as refusal:
        raise Refused(str(refusal)) from refusal
    start = (head["method"], head["target"]) if request else (head["status"],)
    # Named in Connection: dropped on purpose, still part of what was read.
    return Seen(start, end_to_end(head["fields"] + head["dropped"]), body, complete)


# h11 takes no byte above ASCII in a request target, which passes us unchanged: it is shown a letter for each.
_ASCII_ALONE = bytes(range(0x80)) + b"x" * 0x80


def _in_ascii(message: bytes) -> bytes:
    line, end, rest = message.partition(b"\n")
    return line.translate(_ASCII_ALONE) + end + rest


def by_h11(message: bytes, *, request: bool) -> Seen | None:
    """h11's reading of the first message; None while its head is incomplete. A request begins with its
    method.
    """
    connection = h11.Connection(
        h11.SERVER if request else h11.CLIENT, max_incomplete_event_size=200_000
    )
    if not request:
        connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
        connection.send(h11.EndOfMessage())
    start: tuple[bytes | int, ...] | None = None
    fields: list[tuple[bytes, bytes]] = []
    body = b""
    complete = False
    try:
        connection.receive_data(_in_ascii(message) if request else message)
        while not complete:
            event = connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            if isinstance(event, h11.Request):
                at = len(event.method) + 1
                start = (event.method, message[at : at + len(event.target)])
                fields = list(event.headers)
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                start, fields = (event.status_code,), list(event.headers)
            elif isinstance(event, h11.Data):
                body += event.data
            complete = isinstance(event, h11.EndOfMessage)
    except h11.RemoteProtocolError as refusal:
        raise Refused(str(refusal)) from refusal
    return None if start is None else Seen(start, end_to_end(fields), body, complete)


class _Collector:
    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.headed = self.complete = False

    def on_url(self, url: bytes) -> None:
        if not self.complete:
            self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come the same way, after the head.
        if not self.headed:
            self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.headed = True

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def by_llhttp(message: bytes, *, request: bool) -> Seen | None:
    """llhttp's reading of the first message; None while its head is incomplete."""
    found = _Collector()
    parser: Any = (httptools.HttpRequestParser if request else httptools.HttpResponseParser)(found)
    try:
        parser.feed_data(message)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as refusal:
        # What follows a complete message is the next one's affair.
        if not found.complete:
            raise Refused(str(refusal)) from refusal
    if not found.headed:
        return None
    start = (parser.get_method(), found.target) if request else (parser.get_status_code(),)
    return Seen(start, end_to_end(found.fields), found.body, found.complete)
