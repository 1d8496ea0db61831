"""What a proxy asks for: the `path` of a request as a service, one instance of it, or an address."""

import ipaddress
import re
from dataclasses import dataclass

from linkerd2_py.base.names import CLUSTER_SUFFIX, service_name, split_authority
from linkerd2_py.controlplane.mesh.objects import Key

DEFAULT_PORT = 80
# A DNS name has at most 253 characters; anything much longer is no path.
LONGEST_PATH = 300
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class InvalidPathError(ValueError):
    """The path cannot be discovered here; proxies then forward as is."""


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A port of a service; with `instance`, only the pod of that name."""

    service: Key
    port: int
    instance: str = ""

    @property
    def fully_qualified_name(self) -> str:
        """The name without port, in the mesh's domain."""
        name = service_name(self.service.name, namespace=self.service.namespace)
        return f"{self.instance}.{name}" if self.instance else name


@dataclass(frozen=True, slots=True)
class AddressTarget:
    """One address and port, as an application connected to it."""

    ip: Address
    port: int


Target = ServiceTarget | AddressTarget


def parse_target(path: str) -> Target:
    """`name.namespace.svc.cluster.local[:port]`, one label more for an instance, or `ip[:port]`.

    The port defaults to 80. Anything else is an `InvalidPathError` (as Linkerd's destination).
    """
    if not path or len(path) > LONGEST_PATH:
        raise InvalidPathError("path must be host[:port]")
    try:
        host, port = split_authority(path)
    except ValueError as error:
        raise InvalidPathError(f"invalid port in {path!r}") from error
    if port is None:
        port = DEFAULT_PORT
    ip = _address(host)
    return AddressTarget(ip, port) if ip is not None else _service(host, port=port)


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _service(host: str, *, port: int) -> ServiceTarget:
    name = host.lower().removesuffix(".")
    labels = name.removesuffix(f".{CLUSTER_SUFFIX}").split(".")
    known = name.endswith(f".{CLUSTER_SUFFIX}") and len(labels) in {2, 3}
    if not known or not all(_LABEL.match(label) for label in labels):
        raise InvalidPathError(f"not a service of this mesh: {host!r}")
    if len(labels) == 2:
        return ServiceTarget(Key(namespace=labels[1], name=labels[0]), port)
    return ServiceTarget(Key(namespace=labels[2], name=labels[1]), port, instance=labels[0])
