"""Certificates of webhooks, which API servers verify by a bundle that their configuration has.

A webhook's certificate is its own authority: its key signs nothing else, and nobody else has one that is
trusted. A bundle has the certificate from before as well, so that API servers and webhooks may learn of a new
one in any order.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME: Final = timedelta(days=365)
_SKEW: Final = timedelta(hours=1)
"""By which clocks may differ."""


class WebhookCertificate(NamedTuple):
    """In PEM: the certificate and its key, for the Secret, and the bundle, for the webhook's
    configuration.
    """

    certificate: str
    key: str
    bundle: str


def make_certificate(
    host: str, *, now: float, lifetime: timedelta = LIFETIME, before: str = ""
) -> WebhookCertificate:
    """A new one for `host` (`linkerd-proxy-injector.linkerd.svc`), from `now` (Unix seconds) on. What of the
    bundle of `before` is valid still stays in the new one.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    moment = datetime.fromtimestamp(now, UTC).replace(microsecond=0)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _SKEW)
        .not_valid_after(moment + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = _pem(made)
    older = "".join(_pem(one) for one in _valid(before, now=now))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return WebhookCertificate(text, private, text + older)


def kept_or_renewed(
    host: str, held: WebhookCertificate | None, *, now: float, lifetime: timedelta = LIFETIME
) -> WebhookCertificate:
    """The one that is `held`, as long as a third of its time is left; else a new one beside which it is still
    trusted.
    """
    if held is None:
        return make_certificate(host, now=now, lifetime=lifetime)
    if _is_fresh(held, host=host, now=now):
        return held
    before = held.bundle or held.certificate
    return make_certificate(host, now=now, lifetime=lifetime, before=before)


def _is_fresh(held: WebhookCertificate, *, host: str, now: float) -> bool:
    found = _read(held.certificate)
    if not found or not held.key.strip():
        return False
    first = found[0]
    try:
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        is_ours = host in names.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        return False
    begins, ends = first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp()
    return is_ours and begins <= now < ends - (ends - begins) / 3


def _valid(bundle: str, *, now: float) -> list[x509.Certificate]:
    return [one for one in _read(bundle) if one.not_valid_after_utc.timestamp() > now]


def _read(text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode()) if text.strip() else []
    except ValueError:
        return []


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _usage() -> x509.KeyUsage:
    wanted = ("digital_signature", "key_cert_sign")
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in wanted for name in every})
