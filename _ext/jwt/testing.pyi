from collections.abc import Iterable

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.jwt.tokens import TokenExaminer

class Visitor:
    """A request with these fields, looked at by `look`, and again when it is told that it can be. `passage`
    and `told`: under which it is, None while it waits, and what fields the workload gets. `asked`: how often
    it was told.
    """

    passage: Passage | None
    told: list[tuple[bytes, bytes]]
    @property
    def asked(self) -> int: ...
    @property
    def waits(self) -> bool: ...
    def __init__(
        self, examiner: TokenExaminer, fields: Iterable[tuple[bytes, bytes]] = ()
    ) -> None: ...
    def look(self) -> None: ...
    def withdraw(self) -> None: ...

def digest(key: bytes, text: bytes) -> bytes:
    """SipHash with 128 bits."""
