from collections.abc import Iterable
from typing import TypeAlias

Fields: TypeAlias = Iterable[tuple[bytes, bytes]]

class Edits:
    """Changes of the fields of a head, in this order: `add` puts fields behind those that are there, `set`
    in the place of all of their name, `remove` lets all of a name go. ValueError for what is no field, and
    for those that frame a message, say where it goes, or are the proxy's."""

    def __init__(
        self,
        *,
        add: Fields = (),
        set: Fields = (),  # noqa: A002  # the word of Gateway API
        remove: Iterable[bytes] = (),
    ) -> None: ...
