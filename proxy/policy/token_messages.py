"""What the policy API says of tokens, as values. ValueError for what could not be checked as it is meant."""

from __future__ import annotations

from typing import Final, Literal, cast

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proxy.policy.kinds_of_tokens import (
    ALGORITHMS,
    AUTHORIZATION,
    LEEWAY_S,
    REFRESH_S,
    KeySource,
    TokenKind,
)

_MOST_LEEWAY_S: Final = 600.0
_LEAST_REFRESH_S: Final = 1.0


def token_kind(message: inbound.Authn.PermitJwt) -> TokenKind:
    """Of one authorization."""
    if not message.issuer:
        raise ValueError("tokens of nobody")
    for algorithm in message.algorithms:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"tokens signed by {algorithm[:40]!r}")
    for claim in message.claims:
        if not claim.name or not claim.values:
            raise ValueError("a claim without a name or a value")
    return TokenKind(
        message.metadata.resource.name,
        message.issuer,
        _keys(message),
        audiences=tuple(message.audiences),
        field=_field(message.header) if message.header else AUTHORIZATION,
        forwards=message.forward,
        algorithms=tuple(message.algorithms),
        leeway_s=min(_seconds(message, "leeway", LEEWAY_S), _MOST_LEEWAY_S),
        claims=tuple((one.name, tuple(one.values)) for one in message.claims),
        told=tuple((one.claim, _told(one.header)) for one in message.headers),
    )


def _keys(message: inbound.Authn.PermitJwt) -> KeySource:
    kind = message.WhichOneof("keys")
    if kind is None or not getattr(message, kind):
        raise ValueError("tokens without keys")
    refresh_s = max(_seconds(message, "refresh", REFRESH_S), _LEAST_REFRESH_S)
    found = cast('Literal["jwks", "file", "url"]', kind)
    return KeySource(found, getattr(message, kind), refresh_s)


def _told(name: str) -> str:
    field = _field(name)
    if field == AUTHORIZATION:
        raise ValueError(f"a claim is told as {field}")
    return field


def _field(name: str) -> str:
    """A field that frames or leads requests, or is ours, is none that tokens may stand in."""
    Edits(set=[(name.encode(), b"")])
    return name.lower()


def _seconds(message: inbound.Authn.PermitJwt, name: str, otherwise: float) -> float:
    if not message.HasField(name):
        return otherwise
    span = getattr(message, name)
    return max(0.0, float(span.seconds + span.nanos / 1e9))
