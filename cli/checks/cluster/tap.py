"""Can live traffic be watched: the certificate of the API that tap is, in `linkerd-webhooks-and-apisvc-tls`,
and whether the API server reaches it, in `linkerd-tap`. Linkerd asks the same of its extension viz.

Nothing is said where the control plane was installed without tap.
"""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.paths import look_up
from linkerd2_py.cli.checks.cluster.asked import Asked, Object
from linkerd2_py.cli.checks.cluster.served import (
    anchors_in,
    require_lasting,
    require_trusted,
    served_by,
)
from linkerd2_py.cli.checks.cluster.webhooks import CATEGORY as TLS
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check, NotYetError, SkippedError
from linkerd2_py.cli.errors import CliError
from linkerd2_py.controlplane.sources.kubernetes.fields import items, text
from linkerd2_py.controlplane.tap.aggregated.paths import GROUP, ROOT, VERSION

TAP: Final = "linkerd-tap"
SERVICE: Final = "linkerd-tap"
API_SERVICE: Final = f"{VERSION}.{GROUP}"
_PATH: Final = f"/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}"
_WATCHED: Final = "pods/tap"


class TapChecks:
    """The API, as the cluster knows it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def of_certificate(self) -> list[Check]:
        return [
            Check(
                TLS,
                "tap API server has valid cert",
                self._valid,
                hint=linkerd("l5d-tap-cert-valid"),
            ),
            Check(
                TLS,
                "tap API server cert is valid for at least 60 days",
                self._lasting,
                hint=linkerd("l5d-tap-cert-not-expiring-soon"),
                warning=True,
            ),
        ]

    def checks(self) -> list[Check]:
        hint = linkerd("l5d-tap-api")
        return [
            Check(TAP, "tap API service is running", self._available, hint=hint, warning=True),
            Check(TAP, "tap API service can be asked", self._answers, hint=hint, warning=True),
        ]

    def _registered(self) -> Object:
        """The APIService. CliError where it is missing, or leads to somebody else's tap."""
        if look_up(self._asked.values, "tap.enabled") is not True:
            raise SkippedError
        found = self._asked.get(_PATH, what=f"APIService {API_SERVICE}")
        namespace = text(found, "spec", "service", "namespace")
        name = text(found, "spec", "service", "name")
        if (namespace, name) != (self._asked.where.control_plane, SERVICE):
            raise CliError(
                f"APIService {API_SERVICE} leads to the service {name} in {namespace}:"
                " a cluster has one tap, and this control plane's is not asked"
            )
        return found

    def _valid(self) -> None:
        bundle = text(self._registered(), "spec", "caBundle")
        anchors = anchors_in(bundle, where=f"APIService {API_SERVICE}: caBundle")
        name = f"{SERVICE}.{self._asked.where.control_plane}.svc"
        require_trusted(served_by(self._asked, f"{SERVICE}-k8s-tls"), anchors=anchors, name=name)

    def _lasting(self) -> None:
        self._registered()
        require_lasting(served_by(self._asked, f"{SERVICE}-k8s-tls"))

    def _available(self) -> None:
        """As the API server has found out."""
        conditions = items(self._registered(), "status", "conditions")
        known = next((one for one in conditions if one.get("type") == "Available"), {})
        if known.get("status") != "True":
            why = text(known, "message") or "the API server has not asked it yet"
            raise NotYetError(f"{API_SERVICE} is not available: {why}")

    def _answers(self) -> None:
        """What the API server is told when it passes a question on."""
        self._registered()
        try:
            found = self._asked.find(ROOT)
        except CliError as error:
            raise NotYetError(f"the API server gets no answer of tap: {error}") from error
        if _WATCHED not in {text(one, "name") for one in items(found, "resources")}:
            raise NotYetError(f"{ROOT} does not have {_WATCHED}")
