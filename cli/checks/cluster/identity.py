"""Are anchors and issuer well, and will they be for a while: `linkerd-identity`. Do proxies trust the same
anchors: `linkerd-identity-data-plane`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.paths import look_up
from linkerd2_py.cli.checks.cluster.asked import Asked, bullets
from linkerd2_py.cli.checks.cluster.pods import PROXY, Pod, containers, name_of
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check, Outcome, Result
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.objects import OF_MESH
from linkerd2_py.controlplane.sources.kubernetes.fields import items, text

if TYPE_CHECKING:
    from cryptography import x509

    from linkerd2_py.controlplane.identity.trust import Trust

CATEGORY: Final = "linkerd-identity"
DATA_PLANE: Final = "linkerd-identity-data-plane"
ISSUER: Final = "linkerd-identity-issuer"
ROOTS: Final = "linkerd-identity-trust-roots"
_ANCHORS: Final = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"
_NAMES: Final = {
    "linkerd.io/tls": ("crt.pem", "key.pem"),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_FIRST: Final = "certificate config is valid"
# In the order of what is found, after the first.
_SECTIONS: Final = (
    "l5d-identity-trustAnchors-use-supported-crypto",
    "l5d-identity-trustAnchors-are-time-valid",
    "l5d-identity-trustAnchors-not-expiring-soon",
    "l5d-identity-issuer-cert-uses-supported-crypto",
    "l5d-identity-issuer-cert-is-time-valid",
    "l5d-identity-issuer-cert-not-expiring-soon",
    "l5d-identity-issuer-cert-issued-by-trust-anchor",
)
_OUTCOMES: Final[dict[str, Outcome]] = {"ok": "success", "warning": "warning"}


class IdentityChecks:
    """What signs, and who trusts it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def checks(self) -> list[Check]:
        hint = linkerd("l5d-identity-cert-config-valid")
        return [Check(CATEGORY, _FIRST, self._trust_checks, hint=hint, fatal=True)]

    def of_proxies(self) -> list[Check]:
        """Once the proxies are known to be there."""
        return [
            Check(
                DATA_PLANE,
                "data plane proxies certificate match CA",
                self._same_anchors,
                hint=linkerd("l5d-identity-data-plane-proxies-certs-match-ca"),
                warning=True,
            )
        ]

    def _trust_checks(self) -> Sequence[Result]:
        from linkerd2_py.controlplane.checks.trust import trust_checks

        _, *found = trust_checks(self._trust(), now=SystemClock().wall())
        return [
            Result(
                CATEGORY,
                one.description,
                _OUTCOMES.get(one.status, "error"),
                one.message,
                linkerd(section),
            )
            for one, section in zip(found, _SECTIONS, strict=True)
        ]

    def _trust(self) -> Trust:
        """CliError where anchors or issuer cannot be read, or do not belong together."""
        from linkerd2_py.controlplane.errors import IssuerError
        from linkerd2_py.controlplane.identity.files import certificates_in, key_in
        from linkerd2_py.controlplane.identity.issuer import check_pair
        from linkerd2_py.controlplane.identity.trust import Trust

        certificate_name, key_name = _names(self._asked)
        found = secret(self._asked, ISSUER, certificate_name, key_name)
        try:
            chain = certificates_in(found[certificate_name], where=f"{ISSUER}: {certificate_name}")
            check_pair(chain[0], key=key_in(found[key_name], where=f"{ISSUER}: {key_name}"))
        except IssuerError as error:
            raise CliError(str(error)) from error
        ends = min(one.not_valid_after_utc for one in chain)
        return Trust(tuple(self._anchors()), tuple(chain), ends, timedelta())

    def _anchors(self) -> list[x509.Certificate]:
        """Those that everybody is given who is started now."""
        from linkerd2_py.controlplane.errors import IssuerError
        from linkerd2_py.controlplane.identity.files import certificates_in

        path = f"/api/v1/namespaces/{self._asked.where.control_plane}/configmaps/{ROOTS}"
        bundle = text(self._asked.find(path), "data", "ca-bundle.crt")
        said = look_up(self._asked.values, "identityTrustAnchorsPEM")
        pem = bundle or (said if isinstance(said, str) else "")
        try:
            return certificates_in(pem.encode(), where=f"{ROOTS}: ca-bundle.crt")
        except IssuerError as error:
            raise CliError(str(error)) from error

    def _same_anchors(self) -> None:
        where = self._asked.where
        path = f"/api/v1/namespaces/{where.data_plane}/pods" if where.data_plane else "/api/v1/pods"
        current = _fingerprints(self._anchors())
        bad = [
            name_of(pod)
            for pod in self._asked.listed(path, labels=f"{OF_MESH}={where.control_plane}")
            # The control plane's own follow the bundle.
            if text(pod, "metadata", "namespace") != where.control_plane
            and any(_trusted(pem) != current for pem in _anchors_of(pod))
        ]
        if bad:
            raise CliError(
                "Some pods do not have the current trust bundle and must be restarted:"
                f"{bullets(sorted(bad))}"
            )


def secret(asked: Asked, name: str, *keys: str) -> dict[str, bytes]:
    """These of its values. CliError where one is not there."""
    path = f"/api/v1/namespaces/{asked.where.control_plane}/secrets/{name}"
    found = asked.get(path, what=f'Secret "{name}"').get("data")
    held: dict[str, Any] = found if isinstance(found, dict) else {}
    missing = [key for key in keys if not held.get(key)]
    if missing:
        raise CliError(f"key {', '.join(missing)} needs to exist in secret {name}")
    return {key: decoded(held[key], where=f"{name}: {key}") for key in keys}


def decoded(said: object, *, where: str) -> bytes:
    """What Kubernetes writes in base64. CliError for what is none."""
    try:
        return base64.b64decode(str(said), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CliError(f"{where}: it is not base64") from error


def _names(asked: Asked) -> tuple[str, str]:
    scheme = look_up(asked.values, "identity.issuer.scheme") or "linkerd.io/tls"
    if scheme not in _NAMES:
        raise CliError(f"identity.issuer.scheme: {scheme!r} is not known: use {', '.join(_NAMES)}")
    return _NAMES[scheme]


def _anchors_of(pod: Pod) -> Iterable[str]:
    """As its proxy was told. One that reads them from elsewhere is told nothing."""
    return (
        text(each, "value")
        for one in containers(pod)
        if one.get("name") == PROXY
        for each in items(one, "env")
        if each.get("name") == _ANCHORS and text(each, "value")
    )


def _trusted(pem: str) -> frozenset[bytes]:
    """None where it cannot be read."""
    from linkerd2_py.controlplane.errors import IssuerError
    from linkerd2_py.controlplane.identity.files import certificates_in

    try:
        return _fingerprints(certificates_in(pem.encode(), where=_ANCHORS))
    except IssuerError:
        return frozenset()


def _fingerprints(anchors: Iterable[x509.Certificate]) -> frozenset[bytes]:
    from cryptography.hazmat.primitives.hashes import SHA256

    return frozenset(one.fingerprint(SHA256()) for one in anchors)
