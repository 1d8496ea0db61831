"""JWTAuthentications: understood whole or not at all, for half of one could take tokens nobody meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.tokens import (
    Claim,
    ClaimHeader,
    JWTAuthentication,
    KeySource,
    Tokens,
)
from linkerd2_py.controlplane.policy import tokens as texts_of
from linkerd2_py.controlplane.policy.admission.notations import seconds_of
from linkerd2_py.controlplane.sources.kubernetes.fields import items, key_of, mapping, text, texts

_FIELDS: Final = frozenset(
    {
        *("issuer", "audiences", "jwks", "jwksUri", "refreshInterval", "fromHeader", "forward"),
        *("algorithms", "leeway", "claims", "claimToHeaders"),
    }
)


def read_jwt_authentication(found: Json) -> JWTAuthentication:
    """Nobody passes one of which something is not known, or cannot be."""
    namespace, name = key_of(found)
    try:
        tokens = _tokens(mapping(found, "spec"))
    except ValueError:
        tokens = None
    return JWTAuthentication(namespace, name, tokens)


def _tokens(spec: Json) -> Tokens:
    if not _FIELDS.issuperset(spec):
        raise ValueError("a field that nobody knows")
    return Tokens(
        issuer=_sound(text(spec, "issuer"), texts_of.issuer_problem),
        keys=_keys(spec),
        audiences=_all_texts(spec, "audiences"),
        header=_sound(text(spec, "fromHeader"), texts_of.header_problem, optional=True).lower(),
        forward=spec.get("forward") is True,
        algorithms=tuple(
            _sound(one, texts_of.algorithm_problem) for one in _all_texts(spec, "algorithms")
        ),
        refresh_s=_seconds(spec, "refreshInterval"),
        leeway_s=_seconds(spec, "leeway"),
        claims=tuple(_claims(spec)),
        headers=tuple(
            ClaimHeader(
                _sound(text(one, "claim"), _missing),
                _sound(text(one, "header"), texts_of.told_problem).lower(),
            )
            for one in items(spec, "claimToHeaders")
        ),
    )


def _keys(spec: Json) -> KeySource:
    inline, url = text(spec, "jwks"), text(spec, "jwksUri")
    if bool(inline) == bool(url):
        raise ValueError("one of jwks and jwksUri")
    if inline:
        return KeySource("jwks", _sound(inline, texts_of.jwks_problem))
    return KeySource("url", _sound(url, texts_of.url_problem))


def _claims(spec: Json) -> Iterator[Claim]:
    for one in items(spec, "claims"):
        values = _all_texts(one, "values")
        if not values:
            raise ValueError("a claim without values")
        yield Claim(_sound(text(one, "name"), _missing), values)


def _missing(written: str) -> str:
    return "" if written else "is missing"


def _sound(written: str, problem: Callable[[str], str], *, optional: bool = False) -> str:
    if (written or not optional) and (found := problem(written)):
        raise ValueError(found)
    return written


def _all_texts(spec: Json, name: str) -> tuple[str, ...]:
    """A list of which a part is no text is not one of the others."""
    found = texts(spec, name)
    said = spec.get(name)
    if len(found) != (len(said) if isinstance(said, list) else 0) or not all(found):
        raise ValueError(f"{name} is no list of texts")
    return found


def _seconds(spec: Json, name: str) -> float | None:
    if name not in spec:
        return None
    found = seconds_of(text(spec, name))
    if found is None or found < 0:
        raise ValueError(f"{name} is no duration")
    return found
