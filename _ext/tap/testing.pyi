from collections.abc import Iterable

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import Labels
from linkerd2_py._ext.tap.match import Matcher

class Message:
    def __init__(
        self,
        *,
        method: bytes = b"GET",
        scheme: bytes = b"",
        authority: bytes = b"",
        path: bytes = b"/",
        fields: Iterable[tuple[bytes, bytes]] = (),
        http2: bool = False,
    ) -> None: ...

def holds(
    matcher: Matcher,
    message: Message,
    *,
    source: Address | None = None,
    destination: Address | None = None,
    own: Labels | None = None,
    of_set: Labels | None = None,
    route: Labels | None = None,
) -> bool: ...
def ends(
    *,
    source: Address | None = None,
    destination: Address | None = None,
    own: Labels | None = None,
    of_set: Labels | None = None,
    route: Labels | None = None,
    source_tls: Labels | None = None,
    destination_tls: Labels | None = None,
    outbound: bool = False,
) -> bytes:
    """What all events say."""

def request(
    message: Message, *, base: int = 0, stream: int = 1, fields: bool = False, most: int = ...
) -> bytes | None:
    """None: it does not fit."""

def response(
    message: Message | None, *, status: int = 200, since_ns: int = 0, fields: bool = False
) -> bytes: ...
def end(
    kind: str,
    *,
    code: int = 0,
    response_bytes: int = 0,
    since_request_ns: int = 0,
    since_response_ns: int = -1,
    trailers: Message | None = None,
) -> bytes: ...
def secret(name: bytes) -> bool: ...
