"""What is the same in every answer: the settings of destination, named as Linkerd's flags."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from linkerd2_py.controlplane.mesh.objects import DEFAULT_OPAQUE_PORTS

TransportMode = Literal["transparent", "transport-header"]
"""How peers reach a meshed port: at its own number, or all at the proxy's, which a header tells the port."""


class KeepAlive(NamedTuple):
    """When a silent HTTP/2 connection between proxies is asked whether it is alive still."""

    interval_s: int = 10
    timeout_s: int = 3
    while_idle: bool = True


KEEP_ALIVE: Final = KeepAlive()
"""What Linkerd's installation sets."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where IPv6 is enabled, pods with both kinds of addresses are reached by IPv6."""

    outbound_transport_mode: TransportMode = "transparent"
    enable_ipv6: bool = False
    default_opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS
    meshed_http2: KeepAlive | None = KEEP_ALIVE


DEFAULTS: Final = Settings()
"""Those of a mesh that sets nothing."""
