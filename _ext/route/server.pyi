from collections.abc import Callable
from typing import Any

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.observe import Seeker
from linkerd2_py._ext.io.address import Address, SocketOptions
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.complaints import Complaints
from linkerd2_py._ext.route.endpoint_spec import Labels
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tls.identity import LocalIdentity

class ProxyServer:
    """Listeners of one kind and the way of their connections: target, profile, detection, codec or pump.

    `target` fixes where everything goes (a static port); without it the original destination decides, else
    each request's authority. `identity`: TLS that asks for its name ends here, all other is passed through;
    what comes to the listener itself, not redirected, must be TLS with a transport header then.
    `on_stranger(peer)`, if set, hears of everything else that came there, and was reset.
    `authorize(client, peer, port)` decides about each connection to a port of the workload. `no_tls`: the
    labels of those without TLS. `opaque`: no detection. `orig_proto`: believe l5d-orig-proto of HTTP/2
    clients. `authority_labels`: count by authority. `tells_names`: tell peers what targets are called.
    """

    loop: Loop
    table: TargetTable
    on_exhausted: Callable[[Listener], object] | None
    on_stranger: Callable[[Address | None], object] | None
    seeker: Seeker | None
    """Who looks for exchanges to see, set before connections come."""
    complaints: Complaints | None
    """Who is told of what this server answers in the proxy's own name, set before connections come."""
    def __init__(
        self,
        loop: Loop,
        table: TargetTable,
        *,
        direction: str,
        limits: Limits | None = None,
        detect_timeout_ns: int = 10_000_000_000,
        target: Target | None = None,
        opaque: bool = False,
        orig_proto: bool = False,
        informational_headers: bool = True,
        authority_labels: bool = False,
        tcp_labels: Labels = (),
        default_port: int = 80,
        identity: LocalIdentity | None = None,
        authorize: Callable[[Client, Address | None, int], Permission] | None = None,
        no_tls: Labels = ...,
        tells_names: bool = False,
    ) -> None: ...
    def listen(
        self,
        host: str,
        port: int,
        *,
        backlog: int = 4096,
        options: SocketOptions | None = None,
        hold: bool = False,
    ) -> Address:
        """Clients may connect at once; with `hold` they wait in the kernel until `start`."""
    def start(self) -> None: ...
    @property
    def open_connections(self) -> int: ...
    def drain(self) -> None: ...
    def abort_all(self) -> None: ...
    def ask_again(self) -> None:
        """Policy has changed: those who are connected are asked about again."""
    def sessions(self) -> list[Any]: ...
