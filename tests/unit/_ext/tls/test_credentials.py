"""Credentials are checked whole when they are made; whatever is wrong is one line that holds
nothing secret.
"""

import ipaddress
from base64 import b64encode
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from linkerd2_py._ext.tls.credentials import Credentials, CredentialsError
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.clock import SystemClock
from tests.support.certificates import Signer
from tests.support.workloads import DAY_S, MeshAuthority, Workload, name_of

NOW = SystemClock().wall()
SAN = x509.SubjectAlternativeName
SPIFFE = "spiffe://cluster.local/ns/emojivoto/sa/web"
Parts = dict[str, Any]


def parts(mesh: MeshAuthority, workload: Workload | None = None, **changed: Any) -> Parts:
    """What credentials are made of."""
    workload = workload or mesh.workload()
    usual = {
        "name": workload.name,
        "key": workload.key_der,
        "chain": workload.chain,
        "anchors": mesh.anchors,
    }
    return {**usual, **changed}


def authority(*, path_length: int | None = None, ca: bool = True) -> list[tuple[Any, bool]]:
    return [(x509.BasicConstraints(ca=ca, path_length=path_length), True)]


def usages(*oids: x509.ObjectIdentifier) -> list[tuple[Any, bool]]:
    return [(x509.ExtendedKeyUsage(oids), False)]


def broken_pem(pem: bytes) -> bytes:
    at = pem.index(b"\n") + 10
    return pem[:at] + b"!!!!" + pem[at + 4 :]


def encrypted_pem(pem: bytes) -> bytes:
    """As old tools write what needs a passphrase; nobody must be asked for it."""
    head, _, rest = pem.partition(b"\n")
    return (
        head
        + b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
        + rest
    )


def below(mesh: MeshAuthority, count: int) -> list:
    """Issuers, each below the next and the last below the anchor; the nearest to the leaf first."""
    chain = [mesh.signer("issuer 0")]
    for number in range(1, count):
        chain.insert(0, mesh.signer(f"issuer {number}", by=chain[0]))
    return chain


ELSEWHERE = "does not lead to a trust anchor: unable to get local issuer certificate"
NOT_ALONE = f"the certificate is not for {name_of('web')} alone"
REFUSED = {
    "a key of another": (
        lambda m: parts(m, key=m.workload().key_der),
        "the certificate is for another key",
    ),
    "no key": (lambda m: parts(m, key=b""), "the key is not PKCS#8 in DER"),
    "a key in PEM": (
        lambda m: parts(m, (w := m.workload()), key=w.key_pem),
        "the key is not PKCS#8 in DER",
    ),
    "half a key": (
        lambda m: parts(m, (w := m.workload()), key=w.key_der[:-20]),
        "the key is not PKCS#8 in DER",
    ),
    "no anchor": (lambda m: parts(m, anchors=b""), "1 to 64 certificates in PEM, not 0"),
    "an anchor in DER": (
        lambda m: parts(m, anchors=m.workload().chain[1]),
        "1 to 64 certificates in PEM, not 0",
    ),
    "a broken anchor": (
        lambda m: parts(m, anchors=broken_pem(m.anchors)),
        "the trust anchors hold a certificate that cannot be read",
    ),
    "a good anchor and a broken one": (
        lambda m: parts(m, anchors=m.anchors + broken_pem(m.anchors)),
        "the trust anchors hold a certificate that cannot be read",
    ),
    "a broken anchor and a good one": (
        lambda m: parts(m, anchors=broken_pem(m.anchors) + m.anchors),
        "the trust anchors hold a certificate that cannot be read",
    ),
    "half an anchor": (
        lambda m: parts(m, anchors=m.anchors[:-100]),
        "the trust anchors hold a certificate that cannot be read",
    ),
    "an encrypted anchor": (
        lambda m: parts(m, anchors=encrypted_pem(m.anchors)),
        "the trust anchors hold a certificate that cannot be read",
    ),
    "too many anchors": (lambda m: parts(m, anchors=m.anchors * 65), "1 to 64 certificates"),
    "no chain": (lambda m: parts(m, chain=[]), "a chain has 1 to 5 certificates, not 0"),
    "too long a chain": (
        lambda m: parts(m, (w := m.workload()), chain=w.chain + [w.chain[1]] * 4),
        "a chain has 1 to 5 certificates, not 6",
    ),
    "no certificate": (
        lambda m: parts(m, chain=[m.workload().chain[0], b"x"]),
        "certificate 2 of the chain is not X.509 in DER",
    ),
    "a certificate in PEM": (
        lambda m: parts(m, chain=[m.workload().chain_pem]),
        "certificate 1 of the chain is not X.509 in DER",
    ),
    "an enormous certificate": (
        lambda m: parts(
            m, m.workload(extensions=[(SAN([x509.DNSName("a" * 60)] * 1100), False)], names=[])
        ),
        "certificate 1 of the chain is not X.509 in DER",
    ),
    "another mesh's anchor": (
        lambda m: parts(m, anchors=MeshAuthority().anchors),
        "certificate signature failure",
    ),
    "an anchor of another name": (lambda m: parts(m, anchors=Signer("other").pem), ELSEWHERE),
    "a chain without its issuer": (
        lambda m: parts(m, (w := m.workload()), chain=w.chain[:1]),
        ELSEWHERE,
    ),
    "an expired leaf": (
        lambda m: parts(m, m.workload(starts=NOW - DAY_S, lifetime_s=DAY_S - 60)),
        "certificate has expired",
    ),
    "a leaf from tomorrow": (
        lambda m: parts(m, m.workload(starts=NOW + DAY_S)),
        "certificate is not yet valid",
    ),
    "an expired issuer": (
        lambda m: parts(
            m,
            m.workload(issuers=[m.signer(starts=NOW - DAY_S, lifetime_s=DAY_S - 60)]),
        ),
        "certificate has expired",
    ),
    "another name": (lambda m: parts(m, m.workload(names=["web.other"])), NOT_ALONE),
    "another case": (lambda m: parts(m, m.workload(names=[name_of("web").upper()])), NOT_ALONE),
    "two names": (
        lambda m: parts(m, m.workload(names=[name_of("web"), name_of("voting")])),
        NOT_ALONE,
    ),
    "its name twice": (lambda m: parts(m, m.workload(names=[name_of("web")] * 2)), NOT_ALONE),
    "a name and a URI": (
        lambda m: parts(
            m,
            m.workload(
                names=[],
                extensions=[
                    (
                        SAN(
                            [
                                x509.DNSName(name_of("web")),
                                x509.UniformResourceIdentifier(SPIFFE),
                            ]
                        ),
                        False,
                    )
                ],
            ),
        ),
        NOT_ALONE,
    ),
    "its name as a URI": (
        lambda m: parts(
            m,
            m.workload(
                names=[],
                extensions=[(SAN([x509.UniformResourceIdentifier(name_of("web"))]), False)],
            ),
        ),
        NOT_ALONE,
    ),
    "no name": (lambda m: parts(m, m.workload(names=[])), NOT_ALONE),
    "only an address": (
        lambda m: parts(
            m,
            m.workload(
                names=[],
                extensions=[(SAN([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)],
            ),
        ),
        NOT_ALONE,
    ),
    "only a mail address": (
        lambda m: parts(
            m,
            m.workload(names=[], extensions=[(SAN([x509.RFC822Name("web@mesh.test")]), False)]),
        ),
        NOT_ALONE,
    ),
    "an issuer that is no authority": (
        lambda m: parts(m, m.workload(issuers=[m.signer(extensions=authority(ca=False))])),
        "invalid CA certificate",
    ),
    "an issuer below an issuer that may have none": (
        lambda m: parts(
            m,
            m.workload(
                issuers=[
                    m.signer("low", by=(high := m.signer(extensions=authority(path_length=0)))),
                    high,
                ]
            ),
        ),
        "path length constraint exceeded",
    ),
    "not for servers": (
        lambda m: parts(m, m.workload(extensions=usages(ExtendedKeyUsageOID.CLIENT_AUTH))),
        "does not lead to a trust anchor",
    ),
    "not for clients": (
        lambda m: parts(m, m.workload(extensions=usages(ExtendedKeyUsageOID.SERVER_AUTH))),
        "does not lead to a trust anchor",
    ),
    "that is an authority": (
        lambda m: parts(m, m.workload(extensions=authority())),
        "an authority's",
    ),
    "that does not say what it is for": (
        lambda m: parts(m, m.workload(usages=False)),
        "does not say what it may be used for",
    ),
    "for a name with a capital letter": (
        lambda m: parts(m, m.workload(names=["WEB"]), name="WEB"),
        "the certificate is not for WEB alone",
    ),
    "for signing code": (
        lambda m: parts(m, m.workload(extensions=usages(ExtendedKeyUsageOID.CODE_SIGNING))),
        "does not lead to a trust anchor",
    ),
    "an anchor whose key is too short for peers": (
        lambda m: parts(
            weak := MeshAuthority(anchor_key=rsa.generate_private_key(65537, 1024)),
            anchors=weak.anchors,
        ),
        "does not lead to a trust anchor: CA certificate key too weak",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_presented_is_refused_in_one_line_without_secrets(mesh, what):
    make, text = REFUSED[what]
    made = make(mesh)
    with pytest.raises(CredentialsError) as refused:
        Credentials(**made)
    said = str(refused.value)
    assert text in said
    assert "\n" not in said
    key = made["key"]
    for form in (key.hex(), b64encode(key).decode(), repr(key)[2:-1]):
        pieces = {form[at : at + 16] for at in range(0, len(form) - 16, 16)}
        assert not any(piece in said for piece in pieces)


BAD_NAMES = [
    "*.emojivoto.serviceaccount.identity.linkerd.cluster.local",
    "web.emojivoto\0.evil.test",
    "web..emojivoto",
    ".web",
    "web.",
    ".",
    "we b",
    "web/emojivoto",
    "a" * 64 + ".local",
    ".".join(["a" * 49] * 6),
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_is_no_name_is_nobodys_even_if_it_is_asked_for(mesh, name):
    made = parts(mesh, mesh.workload(names=[name]), name=name)
    with pytest.raises(CredentialsError, match="alone"):
        Credentials(**made)


@pytest.mark.parametrize("name", ["web", "a-b_c.d", "a" * 63, ".".join(["a" * 62] * 4)])
def test_other_names_than_kubernetes_gives_are_names(mesh, name):
    assert Credentials(**parts(mesh, mesh.workload(names=[name]), name=name)).name == name


def test_a_uri_may_be_the_name(mesh):
    uri = (SAN([x509.UniformResourceIdentifier(SPIFFE)]), False)
    made = parts(mesh, mesh.workload(names=[], extensions=[uri]), name=SPIFFE)
    assert Credentials(**made).name == SPIFFE


def test_addresses_beside_the_name_do_not_matter(mesh):
    names = SAN(
        [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.DNSName(name_of("web")),
            x509.RFC822Name("web@mesh.test"),
        ]
    )
    Credentials(**parts(mesh, mesh.workload(names=[], extensions=[(names, False)])))


def test_they_are_valid_as_long_as_the_whole_chain(mesh):
    start = int(NOW)
    wide = parts(mesh, mesh.workload(starts=start - 100, lifetime_s=DAY_S))
    assert Credentials(**wide).not_before == start - 100
    assert Credentials(**wide).not_after == start - 100 + DAY_S
    narrow = mesh.signer(starts=start - 50, lifetime_s=2000)
    made = Credentials(**parts(mesh, mesh.workload(starts=start - 100, issuers=[narrow])))
    assert (made.not_before, made.not_after) == (start - 50, start + 1950)
    old = MeshAuthority(starts=start - 7200, lifetime_s=9000)
    made = Credentials(**parts(old, old.workload(lifetime_s=DAY_S)))
    assert made.not_after == start + 1800


def test_an_issuer_can_be_the_anchor(mesh):
    made = mesh.workload()
    for chain in (made.chain, made.chain[:1]):
        Credentials(**parts(mesh, made, chain=chain, anchors=mesh.issuer.pem))


@pytest.mark.parametrize("count", [1, 4])
def test_a_chain_may_have_several_issuers(mesh, count):
    made = Credentials(**parts(mesh, mesh.workload(issuers=below(mesh, count))))
    assert made.not_after > NOW


KEYS = {
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("kind", KEYS)
def test_anchors_may_have_other_keys_than_leaves(kind):
    mesh = MeshAuthority(anchor_key=KEYS[kind]())
    assert mesh.credentials().name == name_of("web")


@pytest.mark.parametrize("first", ["old", "new"])
def test_two_anchors_may_have_one_name_while_they_are_exchanged(first):
    old, new = MeshAuthority(), MeshAuthority()
    both = old.anchors + new.anchors if first == "old" else new.anchors + old.anchors
    for mesh in (old, new):
        assert mesh.credentials(anchors=both).not_after > NOW
        # Below an issuer that was named as an anchor, too.
        mesh.credentials(anchors=both + mesh.issuer.pem)


def test_anchors_may_stand_between_words_and_several_times(mesh):
    bundle = b"# ours\r\n" + mesh.anchors.replace(b"\n", b"\r\n") + b"and again\n" + mesh.anchors
    assert Credentials(**parts(mesh, anchors=MeshAuthority().anchors + bundle)).not_after > NOW
    Credentials(**parts(mesh, anchors=mesh.anchors * 64))


def test_they_are_shown_without_their_secrets(web):
    assert repr(web) == f"<Credentials of {name_of('web')}>"
    with pytest.raises(AttributeError):
        web.name = "other"


def test_a_local_identity_takes_only_its_own(mesh, web):
    identity = LocalIdentity(name_of("web"))
    assert identity.credentials is None
    identity.install(web)
    assert identity.credentials is web
    with pytest.raises(ValueError, match=f"for {name_of('voting')}, not for {name_of('web')}"):
        identity.install(mesh.credentials("voting"))
    assert identity.credentials is web
    renewed = mesh.credentials("web")
    identity.install(renewed)
    assert identity.credentials is renewed
