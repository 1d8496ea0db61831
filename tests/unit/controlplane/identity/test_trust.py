"""What the identity component tells of its certificates."""

from datetime import timedelta

from cryptography import x509
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.certifier import Validity
from linkerd2_py.controlplane.identity.identity import Identity, IdentitySettings
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.identity.trust import Trust
from tests.support.certificates import NOW


def test_trust_is_what_is_in_force() -> None:
    issuer, anchor_pem = throw_away(TrustDomain(), now=NOW, lifetime=timedelta(hours=9))
    settings = IdentitySettings(
        issuer=issuer, tokens=WorkloadTokens(), validity=Validity(lifetime=timedelta(hours=1))
    )
    identity = Identity(settings, metrics=CollectorRegistry())
    assert identity.trust() == Trust(
        anchors=(x509.load_pem_x509_certificate(anchor_pem),),
        chain=(issuer.certificate,),
        ends=issuer.certificate.not_valid_after_utc,
        leaf_lifetime=timedelta(hours=1),
    )
    assert identity.trust().bundle == anchor_pem
