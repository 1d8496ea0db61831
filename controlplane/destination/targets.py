"""What a proxy asks for: the `path` of a request as a service, one instance of it, or an address."""

import ipaddress
from dataclasses import dataclass

from linkerd2_py.base.names import CLUSTER_SUFFIX, service_name
from linkerd2_py.controlplane.mesh.objects import Key

DEFAULT_PORT = 80
# A DNS name has at most 253 characters; anything much longer is no path.
LONGEST_PATH = 300
_CLUSTER_DOMAIN = CLUSTER_SUFFIX.removeprefix("svc.")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class InvalidPathError(ValueError):
    """The path cannot be discovered here; proxies then forward as is. `host` is the part of it that is wrong,
    None where that is another.
    """

    def __init__(self, words: str, *, host: str | None = None) -> None:
        super().__init__(words)
        self.host = host


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

    The port defaults to 80. Names are taken as they are: none in capitals exists. Anything else is an
    `InvalidPathError`.
    """
    host, port = _host_and_port(path)
    ip = _address(host)
    return AddressTarget(ip, port) if ip is not None else _service(host, port=port)


def _host_and_port(path: str) -> tuple[str, int]:
    """Of `host`, `host:port` and `[v6]:port`."""
    if len(path) > LONGEST_PATH:
        raise InvalidPathError("invalid destination")
    if ":" not in path:
        return path, DEFAULT_PORT
    if path.startswith("["):
        host, bracket, port = path[1:].partition("]:")
        if not bracket:
            raise InvalidPathError("invalid destination")
    else:
        host, _, port = path.rpartition(":")
        if ":" in host:
            raise InvalidPathError("invalid destination")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) <= 65535):
        raise InvalidPathError(f"invalid port {port}")
    return host, int(port)


def _address(host: str) -> Address | None:
    # One with a scope is an address of some link, which only its own host can reach.
    if "%" in host:
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _service(host: str, *, port: int) -> ServiceTarget:
    name = host.removesuffix(f".{CLUSTER_SUFFIX}")
    if name == host and host != CLUSTER_SUFFIX:
        words = f"name {host} does not match cluster domain {_CLUSTER_DOMAIN}"
        raise InvalidPathError(words, host=host)
    match name.split("."):
        case [service, namespace] if name != host:
            return ServiceTarget(Key(namespace, service), port)
        case [instance, service, namespace] if name != host:
            return ServiceTarget(Key(namespace, service), port, instance)
    raise InvalidPathError(f"invalid k8s service {host}", host=host)
