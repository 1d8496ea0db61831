"""The key and the request that `proxy-identity` makes."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from linkerd2_py.controlplane.identity.csr import check_csr
from linkerd2_py.proxy.pod.identity import make_key_and_request
from tests.support.certificates import IDENTITY, openssl


def test_the_identity_service_accepts_the_request() -> None:
    key, request = make_key_and_request(IDENTITY)
    private = load_der_private_key(key, password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    asked = check_csr(request, identity=IDENTITY)
    assert asked.public_numbers() == private.public_key().public_numbers()


def test_openssl_reads_both() -> None:
    key, request = make_key_and_request(IDENTITY)
    assert "prime256v1" in openssl("pkey", "-inform", "DER", "-noout", "-text", stdin=key)
    text = openssl("req", "-inform", "DER", "-noout", "-verify", "-text", stdin=request)
    assert f"DNS:{IDENTITY}\n" in text
    assert "Subject: \n" in text


def test_no_two_keys_are_the_same() -> None:
    assert make_key_and_request(IDENTITY) != make_key_and_request(IDENTITY)
