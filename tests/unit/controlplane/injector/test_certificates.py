"""Certificates of webhooks are kept while they are fresh, and what is verified by one of before goes on."""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest
from cryptography import x509

from linkerd2_py.controlplane.injector.certificates import (
    LIFETIME,
    kept_or_renewed,
    make_certificate,
)

HOST = "linkerd-proxy-injector.linkerd.svc"
NOW = 1_800_000_000.0
DAY = timedelta(days=1).total_seconds()


def test_one_is_for_its_host_and_signs_itself() -> None:
    made = make_certificate(HOST, now=NOW)
    found = x509.load_pem_x509_certificate(made.certificate.encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    found.verify_directly_issued_by(found)
    assert made.bundle == made.certificate
    assert ssl.create_default_context(cadata=made.bundle).cert_store_stats()["x509_ca"] == 1


def test_a_fresh_one_is_kept() -> None:
    made = make_certificate(HOST, now=NOW)
    assert kept_or_renewed(HOST, made, now=NOW + 200 * DAY) is made


@pytest.mark.parametrize("at", [LIFETIME.days * 0.7, LIFETIME.days + 1])
def test_an_old_one_is_renewed_and_trusted_as_long_as_it_is_valid(at: float) -> None:
    made = make_certificate(HOST, now=NOW)
    renewed = kept_or_renewed(HOST, made, now=NOW + at * DAY)
    assert renewed.certificate != made.certificate
    assert renewed.bundle.startswith(renewed.certificate)
    assert (made.certificate in renewed.bundle) == (at < LIFETIME.days)


@pytest.mark.parametrize("host", ["other.linkerd.svc", "linkerd-proxy-injector.other.svc"])
def test_one_for_another_host_is_renewed(host: str) -> None:
    made = make_certificate(HOST, now=NOW)
    assert kept_or_renewed(host, made, now=NOW).certificate != made.certificate


@pytest.mark.parametrize("spoilt", ["", "garbage", "-----BEGIN CERTIFICATE-----\n!\n"])
def test_what_is_none_is_renewed(spoilt: str) -> None:
    made = make_certificate(HOST, now=NOW)._replace(certificate=spoilt, bundle=spoilt)
    renewed = kept_or_renewed(HOST, made, now=NOW)
    assert renewed.bundle == renewed.certificate
