"""Would an API server trust the webhooks of a control plane: `linkerd-webhooks-and-apisvc-tls`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.cli.checks.cluster.asked import ADMISSION, Asked
from linkerd2_py.cli.checks.cluster.config import INJECTOR_CONFIG, POLICY_CONFIG
from linkerd2_py.cli.checks.cluster.served import (
    anchors_in,
    require_lasting,
    require_trusted,
    served_by,
)
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
        name = f"{self._service(webhook)}.{self._asked.where.control_plane}.svc"
        require_trusted(leaf, anchors=anchors, name=name)

    def _lasting(self, webhook: _Webhook) -> None:
        require_lasting(self._leaf(webhook))

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
        said = text(self._registered(webhook), "clientConfig", "caBundle")
        return anchors_in(said, where=f"{webhook.config}: caBundle")

    def _leaf(self, webhook: _Webhook) -> x509.Certificate:
        return served_by(self._asked, f"{self._service(webhook)}-k8s-tls")
