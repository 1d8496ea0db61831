"""Issuers of tokens: real keys, made when they are needed, whose tokens and key sets are written by hand, so
that a test can write wrong ones, too.
"""

import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from linkerd2_py.base.clock import SystemClock

ISSUER = "https://login.example"
AUDIENCE = "shop"
CURVES: dict[str, tuple[ec.EllipticCurve, int]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
}
KIND_OF = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8))


@cache
def private_key(kind: str, name: str = "") -> Any:
    """One for each name, the same for the whole run; kinds are curves, or bits of RSA."""
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind][0])
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind))


def key_for(algorithm: str, name: str = "") -> Any:
    return private_key(KIND_OF.get(algorithm, "2048"), name)


def jwk(key: Any, **more: Any) -> dict[str, Any]:
    """The public half."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **more}
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        curve = next(name for name, (one, _) in CURVES.items() if one.name == public.curve.name)
        size = CURVES[curve][1]
        return {
            "kty": "EC",
            "crv": curve,
            "x": number(point.x, size),
            "y": number(point.y, size),
            **more,
        }
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw()), **more}


def jwks(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": keys})


def sign(algorithm: str, key: Any, signed: bytes) -> bytes:
    """As RFC 7518 and RFC 8037 have it."""
    if algorithm == "EdDSA":
        return bytes(key.sign(signed))
    digest = HASHES[algorithm[2:]]
    if algorithm.startswith("RS"):
        return bytes(key.sign(signed, padding.PKCS1v15(), digest))
    if algorithm.startswith("PS"):
        salted = padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
        return bytes(key.sign(signed, salted, digest))
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
    size = CURVES[KIND_OF[algorithm]][1]
    return r.to_bytes(size) + s.to_bytes(size)


BEGUN = int(SystemClock().wall())
"""When tokens were given out, however much later a test that judges them by this moment comes to it."""
_DAY_S = 86_400


def claims(**more: Any) -> dict[str, Any]:
    """Sound ones; what is None is left out."""
    times = {"iat": BEGUN, "exp": BEGUN + _DAY_S}
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", **times, **more}
    return {name: value for name, value in found.items() if value is not None}


def token(
    said: dict[str, Any] | str | None = None,
    *,
    algorithm: str = "ES256",
    key: Any = None,
    header: dict[str, Any] | str | None = None,
) -> str:
    """What is given as text stands there as it is."""
    said = claims() if said is None else said
    header = {"alg": algorithm} if header is None else header
    first = header if isinstance(header, str) else json.dumps(header)
    second = said if isinstance(said, str) else json.dumps(said)
    signed = f"{b64(first.encode())}.{b64(second.encode())}".encode()
    signer = key_for(algorithm) if key is None else key
    return f"{signed.decode()}.{b64(sign(algorithm, signer, signed))}"
