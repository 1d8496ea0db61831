"""What a mesh trusts and what signs for it, for those who look after it: certificates, no keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding


@dataclass(frozen=True, slots=True)
class Trust:
    """`anchors` are what the mesh trusts; `chain` is the issuer, followed by those between it and its anchor.

    The whole path ends at `ends`, and no leaf later; else leaves live for `leaf_lifetime`. `problem` says why
    newer files are not in force, and is empty where there is nothing to say.
    """

    anchors: tuple[x509.Certificate, ...]
    chain: tuple[x509.Certificate, ...]
    ends: datetime
    leaf_lifetime: timedelta
    problem: str = ""

    @property
    def bundle(self) -> bytes:
        """The anchors in PEM, as proxies take them."""
        return bundle_of(self.anchors)


def bundle_of(anchors: Iterable[x509.Certificate]) -> bytes:
    """In PEM, as proxies take them."""
    return b"".join(anchor.public_bytes(Encoding.PEM) for anchor in anchors)
