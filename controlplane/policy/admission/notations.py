"""Texts that mean something to proxies: what is wrong with one, in words; empty where nothing is."""

from __future__ import annotations

import re
import warnings
from ipaddress import ip_address, ip_network
from typing import Final

from linkerd2_py.controlplane.mesh.networks import Cidr

_DNS: Final = re.compile(
    r"(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII
)
_SPIFFE: Final = "spiffe://"
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]+", re.ASCII)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_GATEWAY_DURATION: Final = re.compile(r"-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d))+|0")
_DURATION_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d)")
_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
# What proxies' regular expressions cannot do: they take time in proportion to what is matched.
_LOOKS_AROUND: Final = re.compile(r"(?<!\\)(?:\\\\)*\((?:\?=|\?!|\?<=|\?<!)")
_REFERS_BACK: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]")
# What they have and Python's lack, as something that Python has: whether the rest is sound is asked.
_TRANSLATED: Final = (
    (re.compile(r"\\[pP](\{[^}]*\}|[A-Z])"), r"\\w"),
    (re.compile(r"\\x\{[0-9A-Fa-f]+\}"), "x"),
    (re.compile(r"\\[uU](\{[0-9A-Fa-f]+\})"), "x"),
    (re.compile(r"\\z"), r"\\Z"),
    (re.compile(r"\(\?<([A-Za-z_])"), r"(?P<\1"),
    (re.compile(r"\(\?[a-zA-Z]*-?[a-zA-Z]*\)"), ""),
    (re.compile(r"\(\?[a-zA-Z]*-?[a-zA-Z]*:"), "(?:"),
    (re.compile(r"\[:\^?[a-z]+:\]"), "a"),
)


def identity_problem(written: str) -> str:
    """A name as certificates have them, `*.` before what names end with, or a SPIFFE ID."""
    if not written.startswith(_SPIFFE):
        return (
            "" if _DNS.fullmatch(written) else f"{written!r} is neither a DNS name nor a SPIFFE ID"
        )
    domain, slash, path = written.removeprefix(_SPIFFE).partition("/")
    segments = path.split("/") if slash else []
    sound = _TRUST_DOMAIN.fullmatch(domain) and all(
        _SEGMENT.fullmatch(one) and one not in {".", ".."} for one in segments
    )
    return "" if sound else f"{written!r} is no SPIFFE ID"


def cidr_of(written: str) -> Cidr | None:
    """An address or a network with the length of its prefix; None for what is neither."""
    address, slash, length = written.partition("/")
    try:
        ip_address(address)
        sound = not slash or (length.isdecimal() and length.isascii())
        return ip_network(written, strict=False) if sound else None
    except ValueError:
        return None


def regex_problem(written: str) -> str:
    """A regular expression that proxies match in linear time."""
    if _LOOKS_AROUND.search(written) or _REFERS_BACK.search(written):
        return f"{written!r}: no proxy looks around or refers back in a regular expression"
    translated = written
    for pattern, instead in _TRANSLATED:
        translated = pattern.sub(instead, translated)
    try:
        with warnings.catch_warnings():
            # Sets in sets mean something else to Python some day.
            warnings.simplefilter("ignore")
            re.compile(translated)
    except (re.error, RecursionError, OverflowError) as error:
        return f"{written!r} is no regular expression: {error}"
    return ""


def path_problem(written: str) -> str:
    """An absolute path."""
    return "" if written.startswith("/") else f"{written!r} must begin with /"


def header_name_problem(written: str) -> str:
    """A token of HTTP."""
    return "" if _TOKEN.fullmatch(written) else f"{written!r} is no name of a header"


def header_value_problem(written: str) -> str:
    """What may stand in a head."""
    return "" if _HEADER_VALUE.fullmatch(written) else f"{written!r} is no value of a header"


def seconds_of(written: str) -> float | None:
    """A duration such as `1m30s`; None for what is none."""
    if not _GATEWAY_DURATION.fullmatch(written):
        return None
    total = sum(float(amount) * _SECONDS[unit] for amount, unit in _DURATION_PART.findall(written))
    return -total if written.startswith("-") else total


def duration_problem(written: str) -> str:
    """A duration that is not negative."""
    seconds = seconds_of(written)
    if seconds is None:
        return f"{written!r} is no duration such as 300ms, 5s or 2m"
    return f"{written!r} must not be negative" if seconds < 0 else ""
