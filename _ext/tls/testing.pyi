from collections.abc import Callable

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.listener import Accepting
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.transport import Connecting, Session
from linkerd2_py._ext.metrics.tcp import TcpMetrics
from linkerd2_py._ext.tls.credentials import Credentials

class MemoryChannel:
    """A channel with its two spans as bytes: what is fed waits, what it says is taken. `room`: how much it may say in one call."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        server_name: str | None = None,
        expected: str | None = None,
        header: bool = False,
        room: int = 65536,
    ) -> None: ...
    def feed(self, ciphertext: bytes) -> None: ...
    def said(self) -> bytes: ...
    def handshake(self) -> str: ...
    def read(self, room: int = 65536) -> bytes | str: ...
    def peek(self) -> str: ...
    def write(self, plaintext: bytes) -> None: ...
    def close_notify(self) -> None: ...
    def update_keys(self, *, both: bool = False) -> None: ...
    @property
    def waiting(self) -> int: ...
    @property
    def peer(self) -> str | None: ...
    @property
    def failure(self) -> str | None: ...
    @property
    def has_header(self) -> bool: ...

class SecureThen(Session):
    """The session while a handshake runs."""

    def send(self, content: bytes) -> None: ...
    def shutdown_write(self) -> None: ...
    def close(self) -> None: ...

class AcceptSecure(Accepting):
    """A server: every connection is secured with the credentials of the moment, then gets `factory()` as its session."""

    under_way: list[SecureThen]
    refused: list[tuple[str, str | None]]
    secured: list[tuple[str | None, bool]]
    def __init__(
        self,
        credentials: Callable[[], Credentials],
        factory: Callable[[], Session],
        *,
        takes_header: bool = False,
        timeout_ns: int = 10_000_000_000,
        metrics: TcpMetrics | None = None,
    ) -> None: ...

def connect_secure(
    loop: Loop,
    address: Address,
    session: Connecting,
    *,
    credentials: Credentials,
    server_name: str,
    expected: str | None = None,
    header: bool = False,
    timeout_ns: int = 5_000_000_000,
    metrics: TcpMetrics | None = None,
) -> None: ...
def peer_of(session: Session) -> tuple[str | None, bool]: ...
def failure_of(session: Session) -> str | None: ...
def state_of(session: Session) -> dict[str, int]: ...
def be_told(session: Session, outcome: int, ciphertext: bytes = b"") -> None: ...
def be_sent(session: Session, outcome: Callable[[int], int]) -> None: ...
