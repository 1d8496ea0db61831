"""Text of one environment variable to a value. Every parser raises ValueError with a reason that
stands well after `NAME: `.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Final, Literal, TypeVar

from linkerd2_py.base.logs import FilterError, parse_filter
from linkerd2_py.proxy.addresses import (
    Authority,
    Network,
    SocketAddr,
    is_host_name,
    pack_ip,
    parse_network,
    parse_port,
    split_host_port,
)
from linkerd2_py.proxy.config.types import AccessLog, StaticInbound, StaticOutbound

T = TypeVar("T")

_DURATION: Final = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S: Final = 365 * 86400.0 * 100
_PORT_RANGE: Final = re.compile(r"([0-9]+)(?:-([0-9]+))?", re.ASCII)
_ANCHOR: Final = re.compile("-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \\1-----", re.DOTALL)
_POLICIES: Final = (
    "all-unauthenticated", "all-authenticated", "cluster-authenticated", "cluster-unauthenticated", "audit",
    "deny",
)  # fmt: skip
_DURATION_RULE: Final = "must be a number with a unit ms, s, m, h or d, such as 300ms or 10s"


def duration(text: str) -> float:
    """Seconds of `300ms`, `10s`, `2m`, `1h`, `365d` or a bare `0`."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{_DURATION_RULE}, not {text!r}")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > _LONGEST_S:
        raise ValueError(f"{text!r} is longer than a hundred years")
    return seconds


def positive_duration(text: str) -> float:
    """A duration above zero."""
    seconds = duration(text)
    if seconds <= 0:
        raise ValueError(f"must be longer than zero, not {text!r}")
    return seconds


def up_to_an_hour(text: str) -> float:
    """A duration above zero that the engine's HTTP/2 timers take."""
    seconds = positive_duration(text)
    if seconds > 3600:
        raise ValueError(f"must not be longer than an hour, not {text!r}")
    return seconds


def an_hour_at_most(text: str) -> float:
    """A duration up to an hour, or 0."""
    seconds = duration(text)
    if seconds > 3600:
        raise ValueError(f"must not be longer than an hour, not {text!r}")
    return seconds


def whole(*, low: int, high: int) -> Callable[[str], int]:
    """A parser for whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 19):
            raise ValueError(f"must be a whole number, not {text!r}")
        if not low <= int(text) <= high:
            raise ValueError(f"must be from {low} to {high}, not {text}")
        return int(text)

    return parse


def ratio(text: str) -> float:
    """A number from 0 to 1, such as a jitter."""
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", text, re.ASCII) or not 0 <= float(text) <= 1:
        raise ValueError(f"must be a number from 0 to 1, not {text!r}")
    return float(text)


def socket_addr(text: str) -> SocketAddr:
    """`ip:port`; port 0 asks the system for a free one."""
    host, port = split_host_port(text)
    if pack_ip(host) is None:
        raise ValueError(f"{host!r} is not an IP address; ip:port is needed")
    return SocketAddr(host=host, port=port)


def listen_addrs(text: str) -> tuple[SocketAddr, ...]:
    """One or two `ip:port`, comma-separated (IPv4 and IPv6)."""
    addresses = tuple(socket_addr(part) for part in _parts(text))
    if not 1 <= len(addresses) <= 2:
        raise ValueError(f"must hold one or two addresses, not {len(addresses)}")
    return addresses


def authority(text: str) -> Authority:
    """`host:port` of a peer: host name or IP literal, port above 0."""
    host, port = split_host_port(text)
    if pack_ip(host) is None and not is_host_name(host):
        raise ValueError(f"{host!r} is neither a host name nor an IP address")
    if port == 0:
        raise ValueError(f"{text!r}: port 0 cannot be connected to")
    return Authority(host=host.lower(), port=port)


def identity(text: str) -> str:
    """The DNS name in a certificate. It is compared byte by byte, so there is one way to write it."""
    if text.startswith("spiffe://"):
        raise ValueError("identities of SPIFFE are not available: a DNS name is needed")
    last = text.rpartition(".")[2]  # a number would make it look like an IP address
    if not is_host_name(text) or not last or last.isdecimal() or text != text.lower():
        raise ValueError(f"{text!r} is not a DNS name in lower case")
    return text


def trust_anchors(text: str) -> bytes:
    """Certificates in PEM, and nothing else in PEM. What they say is read by those who trust them."""
    found = _ANCHOR.findall(text)
    if not found:
        raise ValueError(
            "must hold the certificates themselves, in PEM (-----BEGIN CERTIFICATE-----)"
        )
    if text.count("-----BEGIN ") != len(found):
        raise ValueError("holds a certificate that is cut short: its END line is missing")
    for label, body in found:
        if label != "CERTIFICATE":
            raise ValueError(f"must hold certificates only, not a {label}")
        if not _is_der(body):
            raise ValueError("holds a certificate that is damaged: its base64 cannot be read")
    # What stands around the certificates is anybody's words.
    return text.encode("ascii", "replace") + b"\n"


def ports(text: str) -> frozenset[int]:
    """`25,3306,6000-6010`."""
    found: set[int] = set()
    for part in _parts(text):
        match = _PORT_RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not a port or a range of ports")
        first = parse_port(match[1])
        last = parse_port(match[2]) if match[2] else first
        if not 0 < first <= last:
            raise ValueError(f"{part!r} is not a port or a rising range of ports")
        found.update(range(first, last + 1))
    return frozenset(found)


def networks(text: str) -> tuple[Network, ...]:
    """Comma-separated networks."""
    return tuple(parse_network(part) for part in _parts(text))


def addresses(text: str) -> frozenset[bytes]:
    """Comma-separated IP literals, packed."""
    found = set()
    for part in _parts(text):
        packed = pack_ip(part)
        if packed is None:
            raise ValueError(f"{part!r} is not an IP address")
        found.add(packed)
    return frozenset(found)


def suffixes(text: str) -> tuple[str, ...]:
    """Comma-separated DNS suffixes without final dots; `.` stays and stands for every name."""
    found = []
    for part in _parts(text):
        if part != "." and not is_host_name(part):
            raise ValueError(f"{part!r} is not a DNS suffix")
        found.append("." if part == "." else part.lower().strip("."))
    return tuple(found)


def host_names(text: str) -> frozenset[str]:
    """Comma-separated host names, in lower case and without final dots."""
    for part in _parts(text):
        if not is_host_name(part):
            raise ValueError(f"{part!r} is not a host name")
    return frozenset(part.lower().removesuffix(".") for part in _parts(text))


def static_outbound(text: str) -> tuple[StaticOutbound, ...]:
    """`127.0.0.2:31001=web-svc.ns.svc.cluster.local:80,…`."""
    return tuple(_static_outbound(part) for part in _parts(text))


def static_inbound(text: str) -> tuple[StaticInbound, ...]:
    """`127.0.1.2:8080=127.0.1.2:40123[/opaque|/http],…`."""
    return tuple(_static_inbound(part) for part in _parts(text))


def switch(text: str) -> bool:
    """Linkerd's boolean words."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise ValueError(f"must be true or false, not {text!r}")
    return words[text.lower()]


def non_empty(text: str) -> bool:
    """Set to anything at all."""
    return bool(text)


def log_filter(text: str) -> str:
    """A log filter, checked and returned as it is."""
    try:
        parse_filter(text)
    except FilterError as error:
        raise ValueError(str(error)) from None
    return text


def log_format(text: str) -> Literal["plain", "json"]:
    """`plain` or `json`."""
    if text.lower() == "plain":
        return "plain"
    if text.lower() == "json":
        return "json"
    raise ValueError(f"must be plain or json, not {text!r}")


def access_log(text: str) -> AccessLog:
    """The format of the access log."""
    if text.lower() == "apache":
        return "apache"
    if text.lower() == "json":
        return "json"
    raise ValueError(f"must be apache or json, not {text!r}")


def workload_namespace(text: str) -> str:
    """The namespace in `{"ns": …}` or the older `ns:NAME`; empty when the text names none."""
    if text.startswith("ns:"):
        return text[3:].partition(":")[0]
    import json  # noqa: PLC0415  # 0.1 MiB that few proxies need

    try:
        fields = json.loads(text)
    except ValueError:
        return ""
    namespace = fields.get("ns") if isinstance(fields, dict) else None
    return namespace if isinstance(namespace, str) else ""


def default_policy(text: str) -> str:
    """One of Linkerd's default policies."""
    return one_of(*_POLICIES)(text)


def anything(text: str) -> str:
    """Any text."""
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """A parser for a closed set of words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {' or '.join(words)}, not {text!r}")
        return text

    return parse


def _static_outbound(part: str) -> StaticOutbound:
    listen, equals, target = part.partition("=")
    if not equals:
        raise ValueError(f"{part!r} is not listen-address=target-authority")
    return StaticOutbound(listen=socket_addr(listen), target=authority(target))


def _static_inbound(part: str) -> StaticInbound:
    listen, equals, workload = part.partition("=")
    if not equals:
        raise ValueError(f"{part!r} is not listen-address=workload-address[/opaque|/http]")
    workload, slash, flag = workload.partition("/")
    if slash and flag not in ("opaque", "http"):
        raise ValueError(f"{part!r}: after / only opaque or http may stand")
    address = socket_addr(workload)
    if address.port == 0:
        raise ValueError(f"{part!r}: port 0 cannot be connected to")
    return StaticInbound(
        listen=socket_addr(listen), workload=address, opaque=flag == "opaque", http=flag == "http"
    )


def _is_der(body: str) -> bool:
    """Whether it is the base64 of something that begins as a certificate does."""
    try:
        return binascii.a2b_base64("".join(body.split()), strict_mode=True).startswith(b"\x30")
    except ValueError:
        return False


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
