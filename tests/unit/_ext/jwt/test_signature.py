"""Signatures of every algorithm, held against keys of every kind."""

import json

import pytest

from linkerd2_py._ext.jwt.signature import ALGORITHMS, LEAST_RSA_BITS, PublicKey
from linkerd2_py.proxy.policy import kinds_of_tokens
from linkerd2_py.proxy.policy.tokens.keys import read_keys
from linkerd2_py.proxy.policy.tokens.reading import decoded
from tests.support.tokens import jwk, jwks, key_for, private_key, sign

SIGNED = b"eyJhbGciOiJFUzI1NiJ9.e30"


def public(key: object) -> PublicKey:
    keys, _ = read_keys(jwks(jwk(key)).encode())
    return keys._keys[0].public  # one key is wanted, whatever it is for


def test_the_shell_knows_the_same_algorithms() -> None:
    assert set(kinds_of_tokens.ALGORITHMS) == set(ALGORITHMS)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_signature_is_its_keys_alone(algorithm: str) -> None:
    key = key_for(algorithm)
    signature = sign(algorithm, key, SIGNED)
    assert public(key).verifies(algorithm, SIGNED, signature)
    assert not public(key_for(algorithm, "another")).verifies(algorithm, SIGNED, signature)
    assert not public(key).verifies(algorithm, SIGNED + b"A", signature)
    for changed in (
        signature[:-1],
        signature + b"\0",
        b"",
        bytes([signature[0] ^ 1]) + signature[1:],
        signature[:-1] + bytes([signature[-1] ^ 1]),
        b"\0" * len(signature),
    ):
        assert not public(key).verifies(algorithm, SIGNED, changed)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_key_is_for_algorithms_of_its_kind_alone(algorithm: str) -> None:
    signature = sign(algorithm, key_for(algorithm), SIGNED)
    for other in sorted(ALGORITHMS):
        if other != algorithm:
            assert not public(key_for(other)).verifies(algorithm, SIGNED, signature) or (
                ALGORITHMS[other] == ALGORITHMS[algorithm]
            )
            assert not public(key_for(algorithm)).verifies(other, SIGNED, signature)


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "", "HS256", "HS512", "ES256K", "RS1", "rs256"]
)
def test_there_is_no_other_algorithm(algorithm: str) -> None:
    for name in ("RS256", "ES256", "EdDSA"):
        assert not public(key_for(name)).verifies(algorithm, SIGNED, b"")


def test_a_number_that_is_zero_or_not_below_the_order_signs_nothing() -> None:
    """CVE-2022-21449: a signature of zeros was everybody's."""
    key = public(key_for("ES256"))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r in (0, order):
        for s in (0, order):
            assert not key.verifies("ES256", SIGNED, r.to_bytes(32) + s.to_bytes(32))


def test_the_example_of_rfc_7515() -> None:
    """Appendix A.3: ES256."""
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    signed = (
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        b"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    )
    signature = decoded(
        b"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    keys, _ = read_keys(jwks(key).encode())
    assert keys._keys[0].public.verifies("ES256", signed, signature)


def test_the_example_of_rfc_8037() -> None:
    """Appendix A.4: Ed25519."""
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    signature = decoded(
        b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    keys, _ = read_keys(jwks(key).encode())
    signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert keys._keys[0].public.verifies("EdDSA", signed, signature)


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x00", b"\x30\x80" * 50, bytes(300)])
def test_what_is_no_key_is_refused(der: bytes) -> None:
    with pytest.raises(ValueError, match="no public key"):
        PublicKey(der)


def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(ValueError, match=f"1024 bits; there must be {LEAST_RSA_BITS}"):
        read_keys(jwks(jwk(private_key("1024"))).encode())


def test_a_point_beside_the_curve_is_refused() -> None:
    found = jwk(key_for("ES256"))
    found["y"] = found["x"]
    with pytest.raises(ValueError, match="no public key"):
        read_keys(json.dumps({"keys": [found]}).encode())
