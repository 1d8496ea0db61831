"""Whether a token is what a policy asks for, and what the workload is told of it. Pure, but for the engine's
arithmetic.

What is cheap to see is looked at before the signature: whoever sends nonsense does not cost one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from linkerd2_py._ext.jwt.signature import ALGORITHMS
from linkerd2_py.proxy.policy.kinds_of_tokens import TokenKind
from linkerd2_py.proxy.policy.tokens import problems
from linkerd2_py.proxy.policy.tokens.keys import Keys
from linkerd2_py.proxy.policy.tokens.reading import (
    MalformedError,
    Token,
    moment,
    read_token,
    texts,
)

_VALUE: Final = re.compile(rb"[\x20-\x7e\x80-\xff]{1,4096}\Z")
_WORDS: Final = frozenset({"scope", "scp"})
"""Claims whose text is a list of words (RFC 8693 section 4.2)."""


class Judgement(NamedTuple):
    """`problem`: None for a sound token, which is one until `until` (seconds since the epoch)."""

    problem: str | None
    until: float = 0.0
    fields: tuple[tuple[bytes, bytes], ...] = ()


def judge(token: bytes, kind: TokenKind, keys: Keys | None, *, now: float) -> Judgement:
    """`keys`: None while they are not known."""
    try:
        found = read_token(token)
        problem, until = _said(found, kind, now=now)
        problem = problem or _signed(found, keys)
        if problem is None and not all(
            _says(found.claims, name, values) for name, values in kind.claims
        ):
            problem = problems.CLAIMS
    except MalformedError:
        return Judgement(problems.MALFORMED)
    if problem is not None:
        return Judgement(problem)
    return Judgement(None, until, tuple(_told(found.claims, kind)))


def _said(token: Token, kind: TokenKind, *, now: float) -> tuple[str | None, float]:
    """What is wrong by what it says itself, and until when it says that it holds."""
    if token.algorithm not in (kind.algorithms or ALGORITHMS) or token.algorithm not in ALGORITHMS:
        return problems.ALGORITHM, 0.0
    claims = token.claims
    if claims.get("iss") != kind.issuer:
        return problems.ISSUER, 0.0
    if kind.audiences and not set(texts(claims.get("aud", []))) & set(kind.audiences):
        return problems.AUDIENCE, 0.0
    until = moment(claims.get("exp")) + kind.leeway_s
    if until <= now:
        return problems.EXPIRED, 0.0
    begins = [moment(claims[name]) for name in ("nbf", "iat") if name in claims]
    if any(one > now + kind.leeway_s for one in begins):
        return problems.EARLY, 0.0
    return None, until


def _signed(token: Token, keys: Keys | None) -> str | None:
    if keys is None:
        return problems.NO_KEYS
    candidates = keys.of(token)
    if not candidates:
        return problems.KEY
    for key in candidates:
        if key.public.verifies(token.algorithm, token.signed, token.signature):
            return None
    return problems.SIGNATURE


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """By its whole name, which may have dots; else below objects of the parts."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _says(claims: Mapping[str, Any], name: str, values: tuple[str, ...]) -> bool:
    """One of `values`, or a list with one of them."""
    said = _claim(claims, name)
    if isinstance(said, str) and name in _WORDS:
        said = said.split(" ")
    found = {_text(one) for one in (said if isinstance(said, list) else [said])}
    return not found.isdisjoint(values)


def _told(claims: Mapping[str, Any], kind: TokenKind) -> Iterator[tuple[bytes, bytes]]:
    """A claim that is no text, or none that a field can have, is not told."""
    for name, field in kind.told:
        said = _claim(claims, name)
        listed = [_text(one) for one in (said if isinstance(said, list) else [said])]
        if not listed or any(one is None or ("," in one and len(listed) > 1) for one in listed):
            continue
        value = ",".join(one for one in listed if one is not None).encode()
        if _VALUE.match(value) and value == value.strip():
            yield field.encode(), value


def _text(said: object) -> str | None:
    if isinstance(said, bool):
        return "true" if said else "false"
    if isinstance(said, int):
        return str(said)
    # Half of a character, which JSON can write, is none.
    return said if isinstance(said, str) and said.isprintable() else None
