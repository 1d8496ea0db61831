"""The keys of an issuer: a JSON Web Key Set (RFC 7517), of which what can verify tokens is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from linkerd2_py._ext.jwt.signature import ALGORITHMS, PublicKey
from linkerd2_py.proxy.policy.tokens.reading import MalformedError, Token, decoded

LARGEST_SET: Final = 256 * 1024
MOST_KEYS: Final = 200
_TRIED: Final = 8
"""Keys that one token may be held against; more than one only where it does not name its own."""

_RSA: Final = bytes.fromhex("06092a864886f70d0101010500")
_EC: Final = bytes.fromhex("06072a8648ce3d0201")
_CURVES: Final = {
    "P-256": (bytes.fromhex("06082a8648ce3d030107"), 32),
    "P-384": (bytes.fromhex("06052b81040022"), 48),
    "P-521": (bytes.fromhex("06052b81040023"), 66),
}
_ED25519: Final = bytes.fromhex("06032b6570")
_LARGEST_EXPONENT: Final = 1 << 32


class Key(NamedTuple):
    """`kid` and `algorithm` are empty where the set does not say them."""

    kid: str
    algorithm: str
    public: PublicKey


class Keys:
    """Of one issuer, in the order of the set. Immutable."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, token: Token) -> list[Key]:
        """Those that may have signed it: by its algorithm, and by the name that it has for its key."""
        kind = ALGORITHMS[token.algorithm]
        return [
            one
            for one in self._keys
            if one.public.kind == kind
            and one.algorithm in {"", token.algorithm}
            and (not token.kid or not one.kid or one.kid == token.kid)
        ][:_TRIED]


def read_keys(text: bytes) -> tuple[Keys, list[str]]:
    """With what is wrong with keys that are left out. ValueError for what is no set of keys, or one that has
    none that can verify a token.
    """
    if len(text) > LARGEST_SET:
        raise ValueError(f"a set of keys of more than {LARGEST_SET} bytes")
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it has no list of keys")  # noqa: TRY004  # it came from elsewhere
    if len(listed) > MOST_KEYS:
        raise ValueError(f"it has more than {MOST_KEYS} keys")
    keys, problems = [], []
    for number, one in enumerate(listed):
        try:
            key = _key(one)
        except ValueError as error:
            problems.append(f"keys[{number}]: {error}")
        else:
            if key is not None:
                keys.append(key)
    if not keys:
        raise ValueError("; ".join(["no key of it can verify tokens", *problems[:3]]))
    return Keys(keys), problems


def _key(said: Any) -> Key | None:
    """None for one that is for something else."""
    if not isinstance(said, dict):
        raise ValueError("it is no object")  # noqa: TRY004  # it came from elsewhere
    uses = said.get("key_ops")
    if said.get("use", "sig") != "sig" or (isinstance(uses, list) and "verify" not in uses):
        return None
    kid, algorithm = said.get("kid", ""), said.get("alg", "")
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        raise ValueError("kid or alg is no text")  # noqa: TRY004  # it came from elsewhere
    if algorithm and algorithm not in ALGORITHMS:
        return None
    try:
        public = PublicKey(_public(said))
    except MalformedError as error:
        raise ValueError("its numbers are not base64url") from error
    if algorithm and ALGORITHMS[algorithm] != public.kind:
        raise ValueError(f"it is no key for {algorithm}")
    return Key(kid, algorithm, public)


def _public(said: dict[str, Any]) -> bytes:
    """As SubjectPublicKeyInfo."""
    match said.get("kty"):
        case "RSA":
            n, e = (int.from_bytes(_number(said, name)) for name in ("n", "e"))
            if not 3 <= e < _LARGEST_EXPONENT or e % 2 == 0:
                raise ValueError("an exponent that is not safe")
            numbers = _tlv(0x30, _integer(n) + _integer(e))
            return _info(_RSA, numbers)
        case "EC":
            curve = said.get("crv")
            if not isinstance(curve, str) or curve not in _CURVES:
                raise ValueError("a curve that is not taken")
            name, size = _CURVES[curve]
            x, y = _number(said, "x"), _number(said, "y")
            if len(x) != size or len(y) != size:
                raise ValueError(f"its numbers are not of {size} bytes")
            return _info(_EC + name, b"\4" + x + y)
        case "OKP" if said.get("crv") == "Ed25519":
            return _info(_ED25519, _number(said, "x"))
    raise ValueError("a kind of key that is not taken")


def _number(said: dict[str, Any], name: str) -> bytes:
    found = said.get(name)
    if not isinstance(found, str):
        raise ValueError(f"it has no {name}")  # noqa: TRY004  # it came from elsewhere
    return decoded(found.encode("ascii", "replace"))


def _info(algorithm: bytes, key: bytes) -> bytes:
    return _tlv(0x30, _tlv(0x30, algorithm) + _tlv(0x03, b"\0" + key))


def _integer(number: int) -> bytes:
    return _tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def _tlv(tag: int, value: bytes) -> bytes:
    length = len(value)
    if length < 128:
        return bytes([tag, length]) + value
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 128 | len(size)]) + size + value
