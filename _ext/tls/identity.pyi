from collections.abc import Callable

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.tls.credentials import Credentials

class LocalIdentity:
    """Who this proxy is: a fixed name, and the credentials in force. Connections that begin after `install`
    use the new ones; none is dropped.

    `on_failure(inbound, peer, reason)`, if set, hears of every handshake that failed and why: for the log.
    """

    on_failure: Callable[[bool, Address | None, str], None] | None
    def __init__(self, name: str) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def credentials(self) -> Credentials | None:
        """None until the first `install`: nothing can be secured before."""
    def install(self, credentials: Credentials) -> None:
        """ValueError if they are for another name."""

class ServerIdentity:
    """Who must answer at an endpoint: the one name of its certificate, the name SNI asks for (the same unless
    given), and the port of its proxy that takes a transport header (0: none). ValueError for what cannot be
    asked for."""

    def __init__(self, name: str, *, server_name: str = "", tunnel_port: int = 0) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def server_name(self) -> str: ...
    @property
    def tunnel_port(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
