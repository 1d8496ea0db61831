from collections.abc import Iterable
from typing import TypeAlias

from linkerd2_py._ext.exchange.new_path import NewPath

Fields: TypeAlias = Iterable[tuple[bytes, bytes]]

class Edits:
    """Changes of the fields of a head, in this order: `add` puts fields behind those that are there, `set`
    in the place of all of their name, `remove` lets all of a name go. ValueError for what is no field, and
    for those that frame a message, say where it goes, or are the proxy's.

    `path` and `host` (without a port) are what a request asks for then, on its way to where it goes anyway.
    CONNECT stays what it is, and so does a path that is none (`OPTIONS *`). ValueError for what is no host.
    """

    @property
    def path(self) -> NewPath | None: ...
    @property
    def host(self) -> bytes: ...
    def __init__(
        self,
        *,
        add: Fields = (),
        set: Fields = (),  # noqa: A002  # the word of Gateway API
        remove: Iterable[bytes] = (),
        path: NewPath | None = None,
        host: bytes = b"",
    ) -> None: ...
