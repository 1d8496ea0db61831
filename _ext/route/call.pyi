from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from linkerd2_py._ext.io.address import Address

Fields: TypeAlias = Iterable[tuple[bytes, bytes]]

class Call:
    """A caller that waits for messages and a status. Whatever is done to one that has gone does nothing."""

    peer: Address
    identity: str | None
    """What the caller has proven to be, where it came over TLS and with a certificate."""
    on_gone: Callable[[], object] | None
    """Called once when the caller has gone, or waits no longer, before `finish`."""
    @property
    def over(self) -> bool:
        """It was finished, or its caller has gone."""
    @property
    def queued(self) -> int:
        """Bytes that wait for the caller."""
    @property
    def remaining_ns(self) -> int | None:
        """How long the caller still waits; None: as long as it takes."""
    def begin(self, metadata: Fields = ()) -> None:
        """The head of the answer, with metadata of ours; once, before the first message."""
    def send(self, messages: Sequence[bytes]) -> bool:
        """Encoded messages, all or none; False: none, for the caller does not read what it was sent."""
    def finish(self, status: int = 0, words: str = "", trailers: Fields = ()) -> None:
        """The end, behind what was sent."""

def send_all(calls: Sequence[Call], messages: Sequence[bytes]) -> list[Call]:
    """The same messages to each of them; those that `send` would have answered False. To more than some
    hundreds it is to be called in slices."""
