"""HTTP/2 frames of one client and one server, as bytes: what the benchmarks say without an HTTP/2 library of
their own.

The fields are literals that no table remembers (RFC 7541 6.2.2), so the same bytes are valid again on every
stream.
"""

from bench.micro.messages import BODY

_DATA, _HEADERS, _SETTINGS, _WINDOW_UPDATE = 0, 1, 4, 8
_ACK = END_STREAM = 1
END_HEADERS = 4
LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65535
_INITIAL_WINDOW_SIZE = 4

# Names in HPACK's static table (RFC 7541 appendix A); the first four are whole fields.
_GET, _POST, _HTTP, _OK = 2, 3, 6, 8
_AUTHORITY, _PATH, _ACCEPT, _CONTENT_LENGTH, _CONTENT_TYPE, _DATE, _SERVER, _USER_AGENT = (
    1, 4, 19, 28, 31, 33, 54, 58,
)  # fmt: skip


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113 4.1)."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def literal(name: int, value: bytes) -> bytes:
    """A field with a name of the static table, not to be remembered."""
    prefix = bytes([name]) if name < 15 else bytes([15, name - 15])
    return prefix + bytes([len(value)]) + value


def indexed(*fields: int) -> bytes:
    return bytes(0x80 | number for number in fields)


SETTINGS = frame(_SETTINGS, 0, 0)
SETTINGS_ACK = frame(_SETTINGS, _ACK, 0)
# All that the benchmark's client and server will ever read on one connection.
WINDOW = frame(_WINDOW_UPDATE, 0, 0, (LARGEST_WINDOW - _FIRST_WINDOW).to_bytes(4))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# What a HEADERS frame of a request without body shows after its length.
FIRST_REQUEST = bytes([_HEADERS, END_HEADERS | END_STREAM]) + (1).to_bytes(4)


def initial_window(size: int) -> bytes:
    """SETTINGS by which each stream may bring so much."""
    return frame(_SETTINGS, 0, 0, _INITIAL_WINDOW_SIZE.to_bytes(2) + size.to_bytes(4))


def call(stream: int, path: bytes) -> bytes:
    """A call of gRPC with an empty message."""
    block = (
        indexed(_POST, _HTTP)
        + literal(_PATH, path)
        + literal(_AUTHORITY, b"tap:4190")
        + literal(_CONTENT_TYPE, b"application/grpc")
    )
    head = frame(_HEADERS, END_HEADERS, stream, block)
    return head + frame(_DATA, END_STREAM, stream, bytes(5))


def request(stream: int) -> bytes:
    """The sidecar-like GET of `messages`."""
    block = (
        indexed(_GET, _HTTP)
        + literal(_PATH, b"/api/list")
        + literal(_AUTHORITY, b"web-svc.emojivoto:80")
        + literal(_USER_AGENT, b"curl/8.14.1")
        + literal(_ACCEPT, b"application/json")
    )
    return frame(_HEADERS, END_HEADERS | END_STREAM, stream, block)


def response(stream: int) -> bytes:
    """The response of `messages` with its body."""
    block = (
        indexed(_OK)
        + literal(_CONTENT_TYPE, b"text/html")
        + literal(_DATE, b"Thu, 01 Jan 2026 00:00:00 GMT")
        + literal(_SERVER, b"go")
        + literal(_CONTENT_LENGTH, b"%d" % len(BODY))
    )
    return frame(_HEADERS, END_HEADERS, stream, block) + frame(_DATA, END_STREAM, stream, BODY)
