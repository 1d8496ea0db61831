from collections.abc import Callable, Iterable

from linkerd2_py._ext.exchange.passage import Examiner, Passage
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.series import Counter

LONGEST_TOKEN: int
REMEMBERED: int
"""Sound tokens of one kind that are remembered, at most."""
MISSING: str
TWICE: str
TOO_LONG: str
BROKEN: str
BUSY: str
"""Problems that are found here: no token, two of them, one that is too long, a fault of ours, and too many
that wait."""

class Finding:
    """What was found of a token: a `problem` by name, or none. It holds for `seconds`. Of problems of several
    kinds of tokens the one of the lowest `rank` is told. `fields` are for the workload, names in lower case.
    """

    @property
    def problem(self) -> str | None: ...
    @property
    def rank(self) -> int: ...
    @property
    def fields(self) -> tuple[tuple[bytes, bytes], ...]: ...
    def __init__(
        self,
        loop: Loop,
        *,
        problem: str | None = None,
        rank: int = 0,
        seconds: float = 0.0,
        fields: Iterable[tuple[bytes, bytes]] = (),
    ) -> None: ...

class Tokens:
    """Tokens of one kind. `field` and `scheme` say where requests have them; `inspect` what one is that has
    not been seen: None means that nobody can say before `resume`.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        field: bytes,
        scheme: bytes = b"",
        forwards: bool = False,
        inspect: Callable[[bytes], Finding | None],
    ) -> None: ...
    def forget(self) -> None:
        """Nothing that was found holds any more."""
    def resume(self) -> None:
        """Whoever waits may be asked about again."""

class Candidate:
    """Requests with a sound token of that kind have this passage; `accepted` counts them."""

    def __init__(
        self, tokens: Tokens, passage: Passage, *, accepted: Counter | None = None
    ) -> None: ...

class TokenExaminer(Examiner):
    """Whose token lets it in has the passage of the first candidate that it is good for; `refused` gives that
    of the others, for each problem once, with what counts them. `otherwise`: none of them needs a token.
    `reserved` are names of fields that nobody's request brings along.
    """

    def __init__(
        self,
        *,
        candidates: Iterable[Candidate] = (),
        reserved: Iterable[bytes] = (),
        otherwise: Passage | None = None,
        refused: Callable[[str], tuple[Passage, Counter | None]] | None = None,
    ) -> None: ...
