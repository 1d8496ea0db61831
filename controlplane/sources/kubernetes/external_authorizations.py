"""ExternalAuthorizations as they come. One that is not understood whole lets no request in."""

from __future__ import annotations

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import ExternalAuthorization
from linkerd2_py.controlplane.policy import external
from linkerd2_py.controlplane.sources.kubernetes.fields import key_of, labels, mapping, number, text

_HIGHEST_PORT = 65535


def read_external_authorization(found: Json) -> ExternalAuthorization:
    """Whom to ask, and what holds without an answer."""
    namespace, name = key_of(found)
    spec = mapping(found, "spec")
    service = mapping(spec, "service")
    port = number(service, "port")
    status = number(spec, "statusOnError") if "statusOnError" in spec else 503
    fail_open = spec.get("failOpen", False)
    try:
        timeout_s = external.timeout_s(text(spec, "timeout") or external.DEFAULT_TIMEOUT)
    except ValueError:
        timeout_s = 0.0
    sound = (
        text(service, "name")
        and 0 < port <= _HIGHEST_PORT
        and external.LEAST_STATUS <= status <= external.MOST_STATUS
        and isinstance(fail_open, bool)
        and timeout_s
    )
    key = Key(text(service, "namespace") or namespace, text(service, "name"))
    return ExternalAuthorization(
        namespace,
        name,
        service=key if sound else None,
        port=port,
        timeout_s=timeout_s,
        fail_open=fail_open is True,
        status_on_error=status,
        extensions=labels(spec, "contextExtensions"),
    )
