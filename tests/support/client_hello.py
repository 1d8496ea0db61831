"""ClientHellos: made by the ssl module or put together by hand, and what a server of the ssl module sees in
one.
"""

import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Final

SERVER_NAME: Final = 0
PADDING: Final = 21
KEY_SHARE: Final = 51
HOST_NAME: Final = 0
RECORD_MAX: Final = 16384

# ("name", the name), ("no name", b""), ("more", b"") or ("broken", b""): in the shape of the engine's answer.
Answer = tuple[str, bytes]
Extension = tuple[int, bytes]


def vector(content: bytes, width: int = 2) -> bytes:
    """Behind its length, as TLS writes everything whose length is not fixed."""
    return len(content).to_bytes(width) + content


def host_name(name: bytes) -> bytes:
    return bytes([HOST_NAME]) + vector(name)


def server_name(*names: bytes) -> Extension:
    """With the entries given, of which `host_name` makes one."""
    return SERVER_NAME, vector(b"".join(names))


def named(name: bytes) -> Extension:
    return server_name(host_name(name))


def extensions(*content: Extension) -> bytes:
    return vector(b"".join(kind.to_bytes(2) + vector(text) for kind, text in content))


def message(
    tail: bytes,
    *,
    session_id: bytes = bytes(32),
    ciphers: bytes = b"\x13\x01\x13\x02",
    compressions: bytes = b"\0",
) -> bytes:
    """The handshake message; `tail` is what `extensions` makes, or empty."""
    lists = vector(session_id, 1) + vector(ciphers) + vector(compressions, 1)
    return b"\x01" + vector(b"\x03\x03" + bytes(range(32)) + lists + tail, 3)


def record(fragment: bytes, *, kind: int = 22, version: bytes = b"\x03\x01") -> bytes:
    return bytes([kind]) + version + vector(fragment)


def cut(handshake: bytes, *, at: Sequence[int]) -> bytes:
    """In one record for each piece."""
    edges = sorted({0, len(handshake), *at})
    return b"".join(record(handshake[begin:end]) for begin, end in pairwise(edges))


def in_records(handshake: bytes, *, of: int = RECORD_MAX) -> bytes:
    """In records of that many bytes."""
    return cut(handshake, at=range(of, len(handshake), of))


def handshake_of(hello: bytes) -> bytes:
    """The message out of well-formed records."""
    found = b""
    while hello:
        end = 5 + int.from_bytes(hello[3:5])
        found += hello[5:end]
        hello = hello[end:]
    return found


def client_context(
    *, alpn: Sequence[str] = (), ciphers: str = "", padded: bool = False, tls12: bool = False
) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if ciphers:
        context.set_ciphers(ciphers)
    if padded:
        context.options |= 0x10  # SSL_OP_TLSEXT_PADDING
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def hello_of(context: ssl.SSLContext, name: str) -> bytes:
    """What a client writes first when it asks for `name`."""
    written = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), written, server_hostname=name)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return written.read()
    raise AssertionError("a handshake ended without a server")


def seen_by_ssl(hello: bytes) -> Answer:
    """What a server is told when these are a connection's first bytes. It ends the handshake as soon as it
    knows the name.
    """
    names: list[str | None] = []

    def on_name(_: object, name: str | None, __: object) -> int:
        names.append(name)
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.sni_callback = on_name
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    session = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    with undecodable_names() as raw_names:
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            assert not names
            return "more", b""
        except ssl.SSLError:
            if raw_names:
                return "name", raw_names[0]
    if not names:
        return "broken", b""
    return ("no name", b"") if names[0] is None else ("name", names[0].encode())


@contextmanager
def undecodable_names() -> Iterator[list[bytes]]:
    """The ssl module reports names that are no ASCII here instead of passing them on."""
    found: list[bytes] = []
    before = sys.unraisablehook

    def keep(what: "sys.UnraisableHookArgs") -> None:
        assert isinstance(what.exc_value, UnicodeDecodeError), what
        found.append(what.exc_value.object)

    sys.unraisablehook = keep
    try:
        yield found
    finally:
        sys.unraisablehook = before
