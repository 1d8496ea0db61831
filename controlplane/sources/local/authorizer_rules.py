"""The rules of `authorize` in a mesh.yaml: who else is asked about each request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import ExternalAuthorization
from linkerd2_py.controlplane.policy import external
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

_AUTHORIZER: Final = ("service", "timeout", "failOpen", "status", "extensions")


class AuthorizerRules:
    """What cannot be used is noted in the reader. `named`: all services of the file, those with problems
    too.
    """

    def __init__(
        self,
        reader: NodeReader,
        *,
        namespace: str,
        services: Mapping[str, ServiceSpec],
        named: Collection[str],
    ) -> None:
        self._reader = reader
        self._namespace = namespace
        self._services = services
        self._named = named

    def authorization(self, spot: Spot, *, name: str) -> ExternalAuthorization | None:
        """A service, or one with more to say of it."""
        if not self._reader.is_mapping(spot):
            key, port = self._service(spot)
            return ExternalAuthorization(self._namespace, name, key, port) if key else None
        said = self._reader.some(spot, allowed=_AUTHORIZER)
        if "service" not in said:
            missing = spot.below("service", node=spot.node)
            self._reader.refuse(missing, reason="is missing: who is asked, such as authz:9000")
            return None
        key, port = self._service(said["service"])
        status = 503
        if "status" in said:
            least, most = external.LEAST_STATUS, external.MOST_STATUS
            status = self._reader.whole(said["status"], least=least, most=most) or status
        fail_open = self._reader.boolean(said["failOpen"]) if "failOpen" in said else False
        return ExternalAuthorization(
            self._namespace,
            name,
            key,
            port,
            timeout_s=self._timeout(said["timeout"]) if "timeout" in said else 0.2,
            fail_open=bool(fail_open),
            status_on_error=status,
            extensions=self._extensions(said["extensions"]) if "extensions" in said else {},
        )

    def _service(self, spot: Spot) -> tuple[Key | None, int]:
        text = self._reader.text(spot)
        if text is None:
            return None, 0
        name, colon, number = text.partition(":")
        service = self._services.get(name)
        if service is None:
            if name not in self._named:
                known = ", ".join(self._named)
                reason = f"there is no service {name[:80]!r}; there are: {known}"
                self._reader.refuse(spot, reason=reason)
            return None, 0
        ports = [one.port for one in service.ports]
        if colon and number not in map(str, ports):
            known = ", ".join(map(str, ports))
            reason = f"service {name} has no port {number[:20]!r}; it has: {known}"
            self._reader.refuse(spot, reason=reason)
            return None, 0
        return Key(self._namespace, name), int(number) if colon else ports[0]

    def _timeout(self, spot: Spot) -> float:
        try:
            return external.timeout_s(self._reader.text(spot) or "")
        except ValueError as error:
            self._reader.refuse(spot, reason=str(error))
            return 0.2

    def _extensions(self, spot: Spot) -> Mapping[str, str]:
        entries = self._reader.mapping(spot) or {}
        if len(entries) > external.EXTENSIONS_MAX:
            self._reader.refuse(spot, reason=f"has more than {external.EXTENSIONS_MAX} entries")
        return MappingProxyType(
            {name: self._reader.text(one) or "" for name, one in entries.items()}
        )
