"""Would an API server trust the webhooks of a control plane: `linkerd-webhooks-and-apisvc-tls`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.cli.checks.cluster.asked import ADMISSION, Asked
from linkerd2_py.cli.checks.cluster.config import INJECTOR_CONFIG, POLICY_CONFIG
from linkerd2_py.cli.checks.cluster.identity import decoded, secret
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check, SkippedError
from linkerd2_py.cli.errors import CliError
from linkerd2_py.controlplane.sources.kubernetes.fields import items, text

if TYPE_CHECKING:
    from cryptography import x509

CATEGORY: Final = "linkerd-webhooks-and-apisvc-tls"


@dataclass(frozen=True, slots=True)
class _Webhook:
    """Its name, and where it is registered."""

    name: str
    kind: str
    config: str
    required: bool = False


_WEBHOOKS: Final = (
    _Webhook("proxy-injector", "mutatingwebhookconfigurations", INJECTOR_CONFIG, required=True),
    _Webhook(
        "sp-validator", "validatingwebhookconfigurations", "linkerd-sp-validator-webhook-config"
    ),
    _Webhook("policy-validator", "validatingwebhookconfigurations", POLICY_CONFIG),
)


class Webhooks:
    """Each by the certificate in its secret and the bundle that API servers have of it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def checks(self) -> list[Check]:
        return [
            check
            for webhook in _WEBHOOKS
            for check in (
                Check(
                    CATEGORY,
                    f"{webhook.name} webhook has valid cert",
                    partial(self._valid, webhook),
                    hint=linkerd(f"l5d-{webhook.name}-webhook-cert-valid"),
                    fatal=True,
                ),
                Check(
                    CATEGORY,
                    f"{webhook.name} cert is valid for at least 60 days",
                    partial(self._lasting, webhook),
                    hint=linkerd(f"l5d-{webhook.name}-webhook-cert-not-expiring-soon"),
                    warning=True,
                ),
            )
        ]

    def _valid(self, webhook: _Webhook) -> None:
        anchors, leaf = self._bundle(webhook), self._leaf(webhook)
        _require_valid("certificate", leaf)
        name = f"{self._service(webhook)}.{self._asked.where.control_plane}.svc"
        if name not in _names(leaf):
            raise CliError(f"the certificate is not for {name}, but for {', '.join(_names(leaf))}")
        issuers = [one for one in anchors if one == leaf or _is_issued(leaf, by=one)]
        if not issuers:
            raise CliError("cert is not issued by the trust anchor: the caBundle has none that did")
        for one in issuers:
            _require_valid("anchor", one)

    def _lasting(self, webhook: _Webhook) -> None:
        from linkerd2_py.controlplane.checks.trust import SOON

        ends = self._leaf(webhook).not_valid_after_utc
        if datetime.now(UTC) < ends < datetime.now(UTC) + SOON:
            raise CliError(f"certificate will expire on {ends:%Y-%m-%dT%H:%M:%SZ}")

    def _registered(self, webhook: _Webhook) -> Mapping[str, Any]:
        """As API servers know it."""
        found = self._asked.find(f"{ADMISSION}/{webhook.kind}/{webhook.config}")
        if found is None and not webhook.required:
            raise SkippedError
        registered = list(items(found, "webhooks"))
        if len(registered) != 1:
            raise CliError(f"{webhook.config}: expected 1 webhooks, found {len(registered)}")
        return registered[0]

    def _service(self, webhook: _Webhook) -> str:
        """Who answers: several webhooks may be of one service, with one certificate."""
        said = text(self._registered(webhook), "clientConfig", "service", "name")
        return said or f"linkerd-{webhook.name}"

    def _bundle(self, webhook: _Webhook) -> list[x509.Certificate]:
        where = f"{webhook.config}: caBundle"
        said = text(self._registered(webhook), "clientConfig", "caBundle")
        if not said:
            raise CliError(f"{where} is empty: API servers trust nobody there")
        return _certificates(decoded(said, where=where), where=where)

    def _leaf(self, webhook: _Webhook) -> x509.Certificate:
        name = f"{self._service(webhook)}-k8s-tls"
        found = secret(self._asked, name, "tls.crt")
        return _certificates(found["tls.crt"], where=f"{name}: tls.crt")[0]


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
