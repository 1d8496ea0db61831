"""Identities, and the names of those who sign them."""

import pytest

from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError

DOMAIN = TrustDomain()


def test_names_are_linkerds() -> None:
    identity = DOMAIN.identity("web", namespace="emojivoto")
    assert identity == "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
    assert DOMAIN.issuer_name == "identity.linkerd.cluster.local"
    DOMAIN.check(identity)


def test_other_domain_and_namespace() -> None:
    domain = TrustDomain("mesh.example.org", control_namespace="l5d")
    identity = domain.identity("a", namespace="b")
    assert identity == "a.b.serviceaccount.identity.l5d.mesh.example.org"
    domain.check(identity)
    with pytest.raises(RefusedError):
        DOMAIN.check(identity)


@pytest.mark.parametrize(
    "identity",
    [
        "web",
        "web.serviceaccount.identity.linkerd.cluster.local",
        ".ns.serviceaccount.identity.linkerd.cluster.local",
        "web..serviceaccount.identity.linkerd.cluster.local",
        "a.b.c.serviceaccount.identity.linkerd.cluster.local",
        "web.ns.serviceaccount.identity.linkerd.cluster.local.",
        "web.ns.serviceaccount.identity.linkerd.cluster.locals",
        "web.ns.serviceaccount.identity.other.cluster.local",
        "Web.ns.serviceaccount.identity.linkerd.cluster.local",
        "*.ns.serviceaccount.identity.linkerd.cluster.local",
        "wéb.ns.serviceaccount.identity.linkerd.cluster.local",
        "web\0.ns.serviceaccount.identity.linkerd.cluster.local",
        "web\n.ns.serviceaccount.identity.linkerd.cluster.local",
        "web-.ns.serviceaccount.identity.linkerd.cluster.local",
        f"{'a' * 64}.ns.serviceaccount.identity.linkerd.cluster.local",
    ],
)
def test_what_is_no_identity_is_refused_by_form(identity: str) -> None:
    with pytest.raises(
        RefusedError, match=r"<service account>\.<namespace>\.serviceaccount"
    ) as caught:
        DOMAIN.check(identity)
    assert caught.value.reason is Reason.OTHER_IDENTITY


def test_missing_identity() -> None:
    with pytest.raises(RefusedError, match="names no identity"):
        DOMAIN.check("")


@pytest.mark.parametrize("name", ["", "a..b", "-a", "a_b", "A.b", "a.b.", "a b"])
def test_trust_domain_must_be_a_dns_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not a trust domain"):
        TrustDomain(name)


def test_trust_domain_must_fit_into_a_common_name() -> None:
    assert len(TrustDomain("a" * 47).issuer_name) == 64
    with pytest.raises(ValueError, match="is too long: it may have 47 characters"):
        TrustDomain("a" * 48)


def test_control_namespace_must_be_a_label() -> None:
    with pytest.raises(ValueError, match=r"'l5d\.x' is not a namespace"):
        TrustDomain(control_namespace="l5d.x")


@pytest.mark.parametrize(("account", "namespace"), [("a.b", "c"), ("a", ""), ("A", "c")])
def test_identity_of_names_that_are_no_labels(account: str, namespace: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in an identity"):
        DOMAIN.identity(account, namespace=namespace)
