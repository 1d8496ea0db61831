from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.endpoint_spec import Labels
from linkerd2_py._ext.tls.identity import LocalIdentity

Fields: TypeAlias = list[tuple[bytes, bytes]]

class Request:
    method: bytes
    path: bytes
    authority: bytes
    headers: Fields
    peer: Address
    @property
    def body(self) -> bytes: ...
    def respond(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | Iterator[bytes] = b"",
    ) -> None: ...

class LocalServer:
    """HTTP/1 and HTTP/2, in plain text and, with `identity`, over TLS that asks for its name; any other TLS
    is refused. `no_tls`: the labels of those without. Who does not say within `patience_ns` what it speaks is
    let go."""

    loop: Loop
    authorize: Callable[[Client, Address | None], Permission] | None
    """Asked for each request, if set; one that is refused is answered here."""
    def __init__(
        self,
        loop: Loop,
        *,
        on_request: Callable[[Request], None],
        limits: Limits | None = None,
        connections_max: int = 100,
        identity: LocalIdentity | None = None,
        no_tls: Labels = ...,
        patience_ns: int = 10_000_000_000,
    ) -> None: ...
    def listen(self, host: str, port: int) -> Address: ...
    def drain(self) -> None: ...
