"""IP literals, socket addresses, networks and host names as values, without the weight of `ipaddress`.

Everything here is pure text and bytes work; the engine's `Address` is made from a `SocketAddr` where it
is used.
"""

from __future__ import annotations

import re
import socket
from typing import Final, NamedTuple

_V4_MAPPED: Final = bytes(10) + b"\xff\xff"
_NAME_LIMIT: Final = 253
_ZONE: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)


class SocketAddr(NamedTuple):
    """An IP literal (without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return join_host_port(self.host, port=self.port)


class Authority(NamedTuple):
    """A lower-case host name or IP literal and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return join_host_port(self.host, port=self.port)


class Network(NamedTuple):
    """An IP network: the packed first address (4 or 16 bytes) and how many leading bits count."""

    packed: bytes
    prefix_len: int

    def contains(self, packed: bytes) -> bool:
        """Whether the packed address lies inside; other address families never do."""
        if len(packed) != len(self.packed):
            return False
        shift = 8 * len(packed) - self.prefix_len
        return int.from_bytes(packed) >> shift == int.from_bytes(self.packed) >> shift


def pack_ip(text: str) -> bytes | None:
    """4 or 16 bytes of an IP literal, None when `text` is not one. IPv4-mapped IPv6 counts as IPv4."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        packed = socket.inet_pton(family, text)
    except (OSError, ValueError):
        return None
    return unmapped(packed)


def split_zone(host: str) -> tuple[str, str]:
    """A link-local IPv6 literal and the interface it is on: `fe80::1%2` is `fe80::1` and `%2`. Any other
    text is returned whole: no other address has a zone.
    """
    plain, percent, zone = host.partition("%")
    packed = pack_ip(plain) if percent and _ZONE.fullmatch(zone) else None
    if packed is None or len(packed) != 16 or packed[0] != 0xFE or packed[1] & 0xC0 != 0x80:
        return host, ""
    return plain, percent + zone


def unmapped(packed: bytes) -> bytes:
    """The IPv4 address in an IPv4-mapped IPv6 one; any other as it is."""
    return packed[12:] if len(packed) == 16 and packed.startswith(_V4_MAPPED) else packed


def unpack_ip(packed: bytes) -> str:
    """The canonical text of 4 or 16 packed bytes; ValueError for any other length."""
    return socket.inet_ntop(socket.AF_INET6 if len(packed) == 16 else socket.AF_INET, packed)


def is_loopback(host: str) -> bool:
    """127.0.0.0/8, ::1 and the IPv4-mapped forms."""
    packed = pack_ip(host)
    return packed is not None and (packed == bytes(15) + b"\x01" or _is_v4(packed, first=127))


def is_unspecified(host: str) -> bool:
    """0.0.0.0 or ::, which a socket would take for the local host."""
    packed = pack_ip(host)
    return packed is not None and not any(packed)


def is_multicast(host: str) -> bool:
    """224.0.0.0/4, ff00::/8 or the IPv4 broadcast address: no TCP peer lives there."""
    packed = pack_ip(host)
    if packed is None:
        return False
    if len(packed) == 16:
        return packed[0] == 0xFF
    return 224 <= packed[0] <= 239 or packed == b"\xff" * 4


def is_local(host: str) -> bool:
    """Whether the IP literal is one of this machine's addresses: no other can be bound to."""
    plain, zone = split_zone(host)
    where = (plain, 0, 0, int(zone.removeprefix("%"))) if zone else (host, 0)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind(where)
        except OSError:
            return False
    return True


def join_host_port(host: str, *, port: int) -> str:
    """`host:port`, with brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host_port(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port`. ValueError says what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{text!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if pack_ip(split_zone(host)[0]) is None or ":" not in host:
            raise ValueError(f"{host!r} is not an IPv6 address")
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address needs brackets, [address]:port")
    return host, parse_port(port)


def parse_port(text: str) -> int:
    """0 to 65535 in decimal digits only; ValueError otherwise."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535):
        raise ValueError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def is_host_name(text: str) -> bool:
    """RFC 1123 labels (and `_`), at most 253 bytes, an optional final dot."""
    name = text.removesuffix(".")
    return 0 < len(name) <= _NAME_LIMIT and all(_LABEL.fullmatch(part) for part in name.split("."))


def parse_network(text: str) -> Network:
    """`10.0.0.0/8`, `fd00::/8` or a single address; host bits must be zero. ValueError otherwise."""
    host, slash, bits = text.partition("/")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        packed = socket.inet_pton(family, host)
    except OSError:
        raise ValueError(f"{text!r} is not a network (address/prefix)") from None
    width = 8 * len(packed)
    length = int(bits) if bits.isascii() and bits.isdecimal() else -1
    length = length if slash else width
    if not 0 <= length <= width:
        raise ValueError(f"{text!r}: the prefix length must be 0 to {width}")
    if int.from_bytes(packed) & ((1 << (width - length)) - 1):
        raise ValueError(f"{text!r} has bits set beyond its prefix")
    return Network(packed=packed, prefix_len=length)


def matches_suffix(name: str, *, suffixes: tuple[str, ...]) -> bool:
    """Whether `name` is one of the suffixes or lies below one; `.` matches every name. Case and final
    dots do not count.
    """
    plain = "." + name.lower().removesuffix(".")
    return any(suffix == "." or plain.endswith("." + suffix) for suffix in suffixes)


def _is_v4(packed: bytes, *, first: int) -> bool:
    return len(packed) == 4 and packed[0] == first
