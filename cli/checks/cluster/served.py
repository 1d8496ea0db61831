"""Whether an API server would trust who answers it: by the certificate in a secret, and by the bundle that it
was given of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from linkerd2_py.cli.checks.cluster.asked import Asked
from linkerd2_py.cli.checks.cluster.identity import decoded, secret
from linkerd2_py.cli.errors import CliError

if TYPE_CHECKING:
    from cryptography import x509


def served_by(asked: Asked, name: str) -> x509.Certificate:
    """The certificate in the secret of this name. CliError if there is none."""
    found = secret(asked, name, "tls.crt")
    return _certificates(found["tls.crt"], where=f"{name}: tls.crt")[0]


def anchors_in(bundle: str, *, where: str) -> list[x509.Certificate]:
    """Those of a caBundle. CliError if there are none."""
    if not bundle:
        raise CliError(f"{where} is empty: API servers trust nobody there")
    return _certificates(decoded(bundle, where=where), where=where)


def require_trusted(
    leaf: x509.Certificate, *, anchors: Sequence[x509.Certificate], name: str
) -> None:
    """CliError unless the certificate is for this name, now, and one of the anchors vouches for it."""
    _require_valid("certificate", leaf)
    if name not in _names(leaf):
        others = ", ".join(_names(leaf)) or "nobody"
        raise CliError(f"the certificate is not for {name}, but for {others}")
    issuers = [one for one in anchors if one == leaf or _is_issued(leaf, by=one)]
    if not issuers:
        raise CliError("cert is not issued by the trust anchor: the caBundle has none that did")
    for one in issuers:
        _require_valid("anchor", one)


def require_lasting(leaf: x509.Certificate) -> None:
    """CliError if it ends soon; that it is over is said elsewhere."""
    from linkerd2_py.controlplane.checks.trust import SOON

    ends = leaf.not_valid_after_utc
    if datetime.now(UTC) < ends < datetime.now(UTC) + SOON:
        raise CliError(f"certificate will expire on {ends:%Y-%m-%dT%H:%M:%SZ}")


def _certificates(pem: bytes, *, where: str) -> list[x509.Certificate]:
    from linkerd2_py.controlplane.errors import IssuerError
    from linkerd2_py.controlplane.identity.files import certificates_in

    try:
        return certificates_in(pem, where=where)
    except IssuerError as error:
        raise CliError(str(error)) from error


def _require_valid(what: str, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= ends:
        raise CliError(f"{what} is not valid anymore. Expired on {ends:%Y-%m-%dT%H:%M:%SZ}")
    if now < starts:
        raise CliError(f"{what} is not valid before: {starts:%Y-%m-%dT%H:%M:%SZ}")


def _names(certificate: x509.Certificate) -> Sequence[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
    return [str(name) for name in found.value.get_values_for_type(x509.DNSName)]


def _is_issued(leaf: x509.Certificate, *, by: x509.Certificate) -> bool:
    from linkerd2_py.controlplane.identity.issuer import is_issued

    return is_issued(leaf, by=by)
