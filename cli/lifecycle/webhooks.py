"""The certificates of webhooks: made for a new control plane, kept by one that is there, renewed in time."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.paths import look_up, put
from linkerd2_py.cli.lifecycle.flags import Values

if TYPE_CHECKING:
    from cryptography import x509

_LIFETIME: Final = timedelta(days=365)
_RENEW: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A part of the values, with the service that answers."""

    values: str
    service: str

    @property
    def secret(self) -> str:
        return f"{self.service}-k8s-tls"


WEBHOOKS: Final = (
    Webhook("proxyInjector", "linkerd-proxy-injector"),
    Webhook("policyValidator", "linkerd-policy-validator"),
    # What API servers pass requests on to has the same needs.
    Webhook("tap", "linkerd-tap"),
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Of a webhook, in PEM; `bundle` is by what API servers verify it."""

    certificate: str
    key: str
    bundle: str


def needs_one(webhook: Webhook, values: Mapping[str, Any]) -> bool:
    """Unless the user gives one, or somebody else makes it."""
    own = look_up(values, webhook.values) or {}
    return not (own.get("externalSecret") or own.get("crtPEM"))


def put_certificate(values: Values, webhook: Webhook, made: Certificate) -> None:
    """As values have it. A bundle of the user's stays; where somebody else writes it, there is none."""
    put(values, f"{webhook.values}.crtPEM", made.certificate.strip())
    put(values, f"{webhook.values}.keyPEM", made.key.strip())
    own = look_up(values, webhook.values) or {}
    if not any(own.get(name) for name in ("caBundle", "injectCaFrom", "injectCaFromSecret")):
        put(values, f"{webhook.values}.caBundle", made.bundle.strip())


def new_certificate(webhook: Webhook, *, namespace: str, beside: str = "") -> Certificate:
    """For the name of its service. `beside`: what is verified by until the new one is in force everywhere."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    dns = f"{webhook.service}.{namespace}.svc"
    # A name of X.509 has 64 characters; what is verified is the other one.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns[:64])])
    now = datetime.fromtimestamp(SystemClock().wall(), UTC).replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Certificate(pem, private, pem + beside)


def kept_certificate(
    webhook: Webhook, *, namespace: str, secret: Mapping[str, Any] | None
) -> Certificate:
    """The one that is there while it has time left; else a new one, beside which the old one still holds."""
    data = (secret or {}).get("data") or {}
    certificate, key = (_decoded(data.get(name)) for name in ("tls.crt", "tls.key"))
    found = _readable(certificate)
    if found is None or not key:
        return new_certificate(webhook, namespace=namespace)
    left = found.not_valid_after_utc - datetime.fromtimestamp(SystemClock().wall(), UTC)
    if left < _RENEW:
        return new_certificate(webhook, namespace=namespace, beside=certificate)
    return Certificate(certificate, key, certificate)


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(value or "", validate=True).decode()
    except (ValueError, TypeError):
        return ""


def _readable(pem: str) -> x509.Certificate | None:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None
