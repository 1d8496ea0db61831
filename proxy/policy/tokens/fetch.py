"""A small document by HTTP: asked for once, in one connection, bounded in time and size. No redirects are
followed, for where keys come from is somebody's decision.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Final, NamedTuple

TIMEOUT_S: Final = 5.0
_LARGEST_ANSWER: Final = 512 * 1024
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-\"$-~]*)?"
)
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")


class FetchError(Exception):
    """There is no document; the text says why."""


class Place(NamedTuple):
    """Where a URL leads."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse_url(url: str) -> Place:
    """ValueError for what is no http or https URL, or has a user or a fragment in it."""
    found = _URL.fullmatch(url)
    port = int(found["port"] or (443 if found["scheme"] == "https" else 80)) if found else 0
    if found is None or not 0 < port < 65536:
        raise ValueError("no URL of http or https")
    return Place(found["scheme"] == "https", found["host"].strip("[]"), port, found["path"] or "/")


async def fetch(url: str) -> bytes:
    """FetchError where it answers with anything but a document, in time."""
    try:
        place = parse_url(url)
        async with asyncio.timeout(TIMEOUT_S):
            answer = await _exchange(place)
    except TimeoutError as error:
        raise FetchError(f"no answer within {TIMEOUT_S:g} s") from error
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise FetchError(str(error) or type(error).__name__) from error
    return body_of(answer)


async def _exchange(place: Place) -> bytes:
    terms = ssl.create_default_context() if place.tls else None
    reader, writer = await asyncio.open_connection(place.host, place.port, ssl=terms)
    try:
        writer.write(
            f"GET {place.path} HTTP/1.1\r\nHost: {place.authority}\r\nAccept: application/json\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        return await _all(reader)
    finally:
        writer.transport.abort()


async def _all(reader: asyncio.StreamReader) -> bytes:
    """Up to the end of the connection, or of the answer where a server keeps the connection."""
    found = bytearray()
    while not _is_whole(found):
        part = await reader.read(65536)
        if not part:
            break
        found += part
        if len(found) > _LARGEST_ANSWER:
            raise FetchError(f"an answer of more than {_LARGEST_ANSWER} bytes")
    return bytes(found)


def _is_whole(answer: bytes | bytearray) -> bool:
    head, end, body = bytes(answer).partition(b"\r\n\r\n")
    if not end:
        return False
    fields = _fields(head)
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        return body.endswith(b"0\r\n\r\n")
    length = fields.get(b"content-length", b"")
    return length.isdigit() and len(body) >= int(length)


def body_of(answer: bytes) -> bytes:
    """The document of a whole answer; FetchError for one without, or one that was cut."""
    head, end, body = answer.partition(b"\r\n\r\n")
    status = _STATUS.match(head)
    if status is None or not end:
        raise FetchError("the answer is no HTTP")
    if status[1] != b"200":
        raise FetchError(f"it answers {status[1].decode()}")
    fields = _fields(head)
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise FetchError("the answer is compressed, which was not asked for")
    coding = fields.get(b"transfer-encoding", b"").lower()
    if coding:
        if coding != b"chunked":
            raise FetchError("the answer is in a coding that is not known")
        return _dechunked(body)
    length = fields.get(b"content-length")
    if length is None:
        return body
    if not length.isdigit() or len(body) < int(length):
        raise FetchError("the answer was cut")
    return body[: int(length)]


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in lines}


def _dechunked(body: bytes) -> bytes:
    found = bytearray()
    while True:
        line, end, rest = body.partition(b"\r\n")
        size = line.partition(b";")[0].strip()
        if not end or not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
            raise FetchError("the answer was cut")
        length = int(size, 16)
        if length == 0:
            return bytes(found)
        if rest[length : length + 2] != b"\r\n":
            raise FetchError("the answer was cut")
        found += rest[:length]
        body = rest[length + 2 :]
