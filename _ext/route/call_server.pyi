from collections.abc import Callable

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.route.call import Call
from linkerd2_py._ext.tls.identity import LocalIdentity

class CallServer:
    """`on_call(call, path, headers, request)` is called with each whole request message, from the loop. The
    caller's HTTP/2 is bounded by `limits`.

    `connections_max`: one more ends the oldest without calls, or is refused. `calls_max` of all connections;
    `request_bytes` and `request_timeout_ns` of one request; `queue_bytes` that may wait for a caller who does
    not read; `idle_ns` of a connection without calls. With `identity` TLS that asks for its name ends here:
    clients need no certificate, but one that they show must be of the mesh. They have `patience_ns` for each
    step of it.
    """

    loop: Loop
    on_empty: Callable[[], object] | None
    """Called when it drains and the last connection has ended."""
    def __init__(
        self,
        loop: Loop,
        *,
        on_call: Callable[[Call, bytes, list[tuple[bytes, bytes]], bytes], None],
        limits: Limits | None = None,
        connections_max: int = 4096,
        calls_max: int = 20_000,
        request_bytes: int = 65_536,
        queue_bytes: int = 262_144,
        request_timeout_ns: int = 15_000_000_000,
        idle_ns: int = 300_000_000_000,
        identity: LocalIdentity | None = None,
        patience_ns: int = 10_000_000_000,
    ) -> None: ...
    @property
    def connections(self) -> int: ...
    @property
    def open(self) -> int:
        """Calls that have begun and are not over."""
    @property
    def refused(self) -> int:
        """Connections that were one too many."""
    @property
    def overflowed(self) -> int:
        """Times a caller was too slow for what it was to be sent."""
    def listen(self, host: str, port: int, *, hold: bool = False, plain: bool = True) -> Address:
        """Returns the actual address; with `hold` clients wait until `start`. `plain`: what comes without TLS
        is taken there, too. OSError when it is taken."""
    def start(self) -> None: ...
    def drain(self) -> None:
        """Listen no more; each connection ends after its last call."""
    def abort_all(self) -> None:
        """End every connection."""
