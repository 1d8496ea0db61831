"""What a token says (RFC 7515, RFC 7519), read so that nobody could read it in another way. Pure.

What comes here is bounded by its length alone, and nobody vouches for it yet.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_PART: Final = re.compile(rb"[A-Za-z0-9_-]+\Z")
_TO_PLAIN: Final = bytes.maketrans(b"-_", b"+/")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_LATEST: Final = float(1 << 53)
_LONGEST_KEY_ID: Final = 512
_MOST_NESTED: Final = 256
# What would make of the token something else than it seems: an extension, bytes that are not encoded, a token
# within the token, one that is encrypted.
_CHANGING: Final = frozenset({"crit", "b64", "cty", "enc", "zip"})


class MalformedError(ValueError):
    """It is no token, or one that could be read in two ways."""


class Token(NamedTuple):
    """Of one whose form is sound. `kid` is empty where it names no key."""

    algorithm: str
    kid: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def read_token(token: bytes) -> Token:
    """MalformedError for what is none. Where it says that its keys are (jku, x5u, jwk, x5c) is not heard."""
    parts = token.split(b".")
    if len(parts) != 3:
        raise MalformedError("not three parts")
    header, claims = _object(decoded(parts[0])), _object(decoded(parts[1]))
    if not _CHANGING.isdisjoint(header):
        raise MalformedError("a header that changes what the token is")
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or not isinstance(kid, str) or len(kid) > _LONGEST_KEY_ID:
        raise MalformedError("an algorithm or a key that is no text")
    return Token(algorithm, kid, claims, token[: token.rindex(b".")], decoded(parts[2]))


def decoded(part: bytes) -> bytes:
    """base64url without padding, in its one spelling."""
    if not _PART.match(part) or len(part) % 4 == 1:
        raise MalformedError("not base64url")
    raw = binascii.a2b_base64(part.translate(_TO_PLAIN) + b"=" * (-len(part) % 4))
    if binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL) != part:
        raise MalformedError("not base64url in its one spelling")
    return raw


def moment(said: object) -> float:
    """A NumericDate."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise MalformedError("a moment that is no number")
    if not math.isfinite(said) or not 0 <= said <= _LATEST:
        raise MalformedError("a moment that never comes")
    return float(said)


def texts(said: object) -> tuple[str, ...]:
    """A text, or a list of texts."""
    if isinstance(said, str):
        return (said,)
    if isinstance(said, list) and all(isinstance(one, str) for one in said):
        return tuple(said)
    raise MalformedError("neither a text nor a list of texts")


def _object(raw: bytes) -> dict[str, Any]:
    if raw.count(b"{") + raw.count(b"[") > _MOST_NESTED:
        raise MalformedError("more objects and lists than anybody needs")
    try:
        found = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise MalformedError("no JSON that can be read in one way only") from error
    if not isinstance(found, dict):
        raise MalformedError("no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is said twice")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
