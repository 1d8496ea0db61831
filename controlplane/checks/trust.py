"""Are the mesh's anchors and issuers well, and will they be for a while: Linkerd's checks of
`linkerd-identity`, in its words.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from linkerd2_py.controlplane.checks.result import CheckResult, Status
from linkerd2_py.controlplane.errors import IssuerError
from linkerd2_py.controlplane.identity.issuer import (
    check_key,
    display_name,
    path_to_anchor,
)
from linkerd2_py.controlplane.identity.trust import Trust

CATEGORY = "linkerd-identity"
# Rotating an anchor takes people, and every workload.
SOON = timedelta(days=60)
_ROTATE_ANCHOR = "rotate the anchor: first add the new one to every bundle, beside the old one"
_RENEW_ISSUER = "make an issuer below the same anchor, and replace the issuer's files by it"


def trust_checks(trust: Trust, *, now: float) -> list[CheckResult]:
    """All of them, whatever the first ones say."""
    moment = datetime.fromtimestamp(now, UTC)
    anchors, chain = trust.anchors, trust.chain
    return [
        _check("certificate config is valid", trust.problem),
        _check("trust anchors are using supported crypto algorithm", _weak(anchors)),
        _check(
            "trust anchors are within their validity period",
            _of_anchors("Invalid anchors", anchors, [_outside(each, moment) for each in anchors]),
            hint=_ROTATE_ANCHOR,
        ),
        _check(
            "trust anchors are valid for at least 60 days",
            _of_anchors(
                "Anchors expiring soon", anchors, [_soon(each, moment) for each in anchors]
            ),
            hint=_ROTATE_ANCHOR,
            status="warning",
        ),
        _check("issuer cert is using supported crypto algorithm", _weak(chain)),
        _check(
            "issuer cert is within its validity period",
            _of_chain(chain, [_outside(each, moment, verb="is ") for each in chain]),
            hint=_RENEW_ISSUER,
        ),
        _check(
            "issuer cert is valid for at least 60 days",
            _of_chain(chain, [_soon(each, moment) for each in chain]),
            hint=_RENEW_ISSUER,
            status="warning",
        ),
        _check("issuer cert is issued by the trust anchor", _unconnected(trust, moment)),
    ]


def _check(
    description: str, message: str, *, hint: str = "", status: Status = "error"
) -> CheckResult:
    if not message:
        return CheckResult(description, category=CATEGORY)
    return CheckResult(description, status, message, hint=hint, category=CATEGORY)


def _of_anchors(head: str, anchors: Sequence[x509.Certificate], faults: Sequence[str]) -> str:
    found = [
        f"{anchor.serial_number} {_common_name(anchor)} {fault}"
        for anchor, fault in zip(anchors, faults, strict=True)
        if fault
    ]
    return f"{head}: {'; '.join(found)}" if found else ""


def _of_chain(chain: Sequence[x509.Certificate], faults: Sequence[str]) -> str:
    """What stands between issuer and anchor ends the issuer's use as well."""
    between = [f"certificate {_common_name(each)} above it" for each in chain[1:]]
    names = ["issuer certificate", *between]
    return "; ".join(f"{name} {fault}" for name, fault in zip(names, faults, strict=True) if fault)


def _outside(certificate: x509.Certificate, moment: datetime, *, verb: str = "") -> str:
    if moment >= certificate.not_valid_after_utc:
        return f"{verb}not valid anymore. Expired on {_shown(certificate.not_valid_after_utc)}"
    if moment < certificate.not_valid_before_utc:
        return f"{verb}not valid before: {_shown(certificate.not_valid_before_utc)}"
    return ""


def _soon(certificate: x509.Certificate, moment: datetime) -> str:
    ends = certificate.not_valid_after_utc
    return f"will expire on {_shown(ends)}" if moment < ends < moment + SOON else ""


def _weak(certificates: Sequence[x509.Certificate]) -> str:
    found = []
    for certificate in certificates:
        try:
            check_key(certificate)
        except IssuerError as error:
            found.append(str(error))
    return "; ".join(found)


def _unconnected(trust: Trust, moment: datetime) -> str:
    try:
        path_to_anchor(trust.chain, anchors=trust.anchors, moment=moment)
    except IssuerError as error:
        return str(error)
    return ""


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else display_name(certificate)


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
