"""Rules of ExternalAuthorizations."""

from __future__ import annotations

from linkerd2_py.controlplane.policy import external
from linkerd2_py.controlplane.policy.admission.fields import Asked


def check_external_authorization(asked: Asked) -> None:
    """A service that can be asked, and a time for it."""
    spec = asked.spec
    service = spec["service"]
    if not service["name"].text():
        service["name"].refuse("must be said: who speaks envoy.service.auth.v3.Authorization")
    if service["port"].number(1, 65535) is None:
        service["port"].refuse("must be said")
    service["namespace"].text()
    if spec["timeout"].is_said:
        try:
            external.timeout_s(spec["timeout"].text())
        except ValueError as error:
            spec["timeout"].refuse(str(error))
    spec["failOpen"].is_true()
    spec["statusOnError"].number(external.LEAST_STATUS, external.MOST_STATUS)
    extensions = spec["contextExtensions"]
    if extensions.is_said:
        for name in extensions.mapping():
            extensions[name].text()
        if len(extensions.mapping()) > external.EXTENSIONS_MAX:
            extensions.refuse(f"has more than {external.EXTENSIONS_MAX} entries")
