"""Certificates for one run: an anchor, an issuer below it, and a leaf for each end of a TLS leg. They end
with the run's folder.

Made by the identity service's own code, so that peers prove and check exactly what workloads of a mesh do:
P-256 keys, one DNS name, one issuer between leaf and anchor.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.identity.ca import make_anchor, make_issuer_below
from linkerd2_py.controlplane.identity.certifier import Validity, certify
from linkerd2_py.controlplane.identity.issuer import Issuer, make_issuer
from linkerd2_py.controlplane.identity.names import TrustDomain

NAMESPACE = "bench"
DOMAIN = TrustDomain()
SUITE = "TLS_AES_128_GCM_SHA256"
"""What all peers are told to use, as far as they can be told: it is the first choice of ours."""
_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Leaf:
    """Whom it names, and PEM files: the certificate with its issuer's, its key, and all of these in one."""

    name: str
    chain: Path
    key: Path
    both: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """`anchors` is whom to trust, `issuer` a folder for an identity service that signs further leaves.
    `client` opens connections, `server` takes them.
    """

    anchors: Path
    issuer: Path
    client: Leaf
    server: Leaf


def make_certificates(folder: Path) -> Certificates:
    """New ones, valid now, as files in `folder`."""
    now = SystemClock().wall()
    anchor = make_anchor(DOMAIN, now=now)
    below = make_issuer_below(anchor, DOMAIN, now=now)
    issuer = make_issuer([below.certificate], key=below.key, anchors=[anchor.certificate], now=now)
    anchors = _write(folder / "ca-bundle.crt", anchor.certificate_pem)
    _write(folder / "crt.pem", below.certificate_pem)
    _write(folder / "key.pem", below.key_pem)
    return Certificates(
        anchors=anchors,
        issuer=folder,
        client=_leaf("client", issuer=issuer, now=now, folder=folder),
        server=_leaf("server", issuer=issuer, now=now, folder=folder),
    )


def values_of(certificates: Certificates, own: Leaf) -> dict[str, object]:
    """What templates of configurations name, for the end that presents `own`."""
    return {
        "anchors": certificates.anchors,
        "chain": own.chain,
        "key": own.key,
        "both": own.both,
        "server_name": certificates.server.name,
        "client_name": certificates.client.name,
        "suites": SUITE,
    }


def _leaf(account: str, *, issuer: Issuer, now: float, folder: Path) -> Leaf:
    name = DOMAIN.identity(account, namespace=NAMESPACE)
    key = ec.generate_private_key(ec.SECP256R1())
    made = certify(key.public_key(), identity=name, issuer=issuer, now=now, validity=Validity())
    chain_pem = b"".join(
        load_der_x509_certificate(each).public_bytes(Encoding.PEM)
        for each in (made.leaf, *made.intermediates)
    )
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Leaf(
        name=name,
        chain=_write(folder / f"{account}.crt", chain_pem),
        key=_write(folder / f"{account}.key", key_pem),
        both=_write(folder / f"{account}.pem", chain_pem + key_pem),
    )


def _write(path: Path, content: bytes) -> Path:
    path.touch(mode=_OWNER_ONLY)
    path.write_bytes(content)
    return path
