"""All kinds of tokens that policies ask for, each with its keys and with what the engine remembers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.jwt.tokens import Candidate, Finding, TokenExaminer, Tokens
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.series import Counter
from linkerd2_py.base.clock import Clock
from linkerd2_py.proxy.policy.kinds_of_tokens import AUTHORIZATION, KeySource, TokenKind
from linkerd2_py.proxy.policy.server import Labels
from linkerd2_py.proxy.policy.tokens import problems
from linkerd2_py.proxy.policy.tokens.judging import judge
from linkerd2_py.proxy.policy.tokens.key_sets import EARLY_S, KeySet
from linkerd2_py.proxy.policy.verdict import Refusal

REMEMBERED_S: Final = 300.0
"""A sound token is looked at again after this, whenever it ends."""
REFUSED_S: Final = 60.0
"""What is wrong for good with one is remembered so long; what time or other keys may mend is not."""
KINDS_MAX: Final = 200

_AWAITED: Final = frozenset({problems.KEY, problems.NO_KEYS})
_MAY_MEND: Final = _AWAITED | {problems.EARLY}
_OF_KEYS: Final = frozenset({problems.KEY, problems.SIGNATURE})
"""A token that names no key may be signed by one that its issuer has since told of."""
_FETCHES: Final = "inbound_jwks_fetches_total"
_FETCHES_HELP: Final = "Tries to get the keys of an issuer of tokens."
_TOKENS: Final = "inbound_http_jwt_total"
_TOKENS_HELP: Final = (
    "Requests that inbound policy let in by a token, or did not, by what it found."
)


class TokenBook:
    """Of one proxy."""

    def __init__(self, loop: Loop, *, registry: Registry, clock: Clock) -> None:
        self._loop = loop
        self._registry = registry
        self._clock = clock
        self._kinds: dict[TokenKind, _Kind] = {}
        self._sets: WeakValueDictionary[KeySource, KeySet] = WeakValueDictionary()

    def candidate(self, kind: TokenKind, passage: Passage, *, labels: Labels) -> Candidate:
        """Requests with such a token have that passage; `labels` are of those of its port."""
        found = self._kinds.get(kind)
        if found is None:
            if len(self._kinds) >= KINDS_MAX:
                # Whoever still works by them has them.
                self._kinds.clear()
            keys = self._keys(kind.keys)
            found = self._kinds[kind] = _Kind(kind, keys, loop=self._loop, clock=self._clock)
        return Candidate(
            found.tokens, passage, accepted=self._counter(labels, kind=kind.name, result="accepted")
        )

    def examiner(
        self,
        candidates: Iterable[Candidate],
        *,
        reserved: Iterable[str],
        refuse: Callable[[Refusal], Passage],
        labels: Labels,
    ) -> TokenExaminer:
        """`refuse` makes the passage of those that have no token, or one that is no good."""

        def refused(problem: str) -> tuple[Passage, Counter]:
            said = problems.PROBLEMS[problem]
            passage = refuse(Refusal(said.text, said.status, said.mistrusts))
            return passage, self._counter(labels, kind="", result=problem.replace(" ", "_"))

        return TokenExaminer(
            candidates=candidates, reserved=[one.encode() for one in reserved], refused=refused
        )

    def cleaned(self, passage: Passage, *, reserved: Iterable[str]) -> TokenExaminer:
        """Of requests that need no token: they do not pretend to have one, either."""
        return TokenExaminer(otherwise=passage, reserved=[one.encode() for one in reserved])

    def close(self) -> None:
        """Fetch no more keys. Idempotent."""
        for keys in self._sets.values():
            keys.close()
        self._kinds.clear()

    async def settled(self) -> None:
        """After `close`: until the programs that fetch keys have ended."""
        for keys in list(self._sets.values()):
            await keys.settled()

    def _counter(self, labels: Labels, *, kind: str, result: str) -> Counter:
        more = (("jwt_name", kind), ("result", result))
        return self._registry.counter(_TOKENS, _TOKENS_HELP, (*labels, *more))

    def _keys(self, source: KeySource) -> KeySet:
        """Kinds that differ in something else share them."""
        found = self._sets.get(source)
        if found is None:
            count = partial(_count_fetch, self._registry, source)
            found = self._sets[source] = KeySet(source, clock=self._clock, count=count)
        return found


def _count_fetch(registry: Registry, source: KeySource, result: str) -> None:
    labels = (("jwks", str(source)), ("result", result))
    registry.counter(_FETCHES, _FETCHES_HELP, labels).inc()


class _Kind:
    """One kind of tokens."""

    def __init__(self, kind: TokenKind, keys: KeySet, *, loop: Loop, clock: Clock) -> None:
        self._kind = kind
        self._keys = keys
        self._loop = loop
        self._clock = clock
        self.tokens = Tokens(
            loop,
            field=kind.field.encode(),
            scheme=b"bearer " if kind.field == AUTHORIZATION else b"",
            forwards=kind.forwards,
            inspect=self._inspect,
        )
        keys.users.append(self.tokens)
        # They are there before the first token comes, if all goes well.
        keys.use()

    def _inspect(self, token: bytes) -> Finding | None:
        now = self._clock.wall()
        is_usable = self._keys.use()
        keys = self._keys.keys
        found = judge(token, self._kind, keys if is_usable else None, now=now)
        is_missed = found.problem in _OF_KEYS
        if is_missed and not self._keys.miss() and self._keys.keys is not keys:
            # A file has been read at once.
            found = judge(token, self._kind, self._keys.keys, now=now)
        elif found.problem in _AWAITED and self._keys.is_awaited:
            return None
        problem = found.problem
        if problem is None:
            seconds = min(REMEMBERED_S, found.until - now)
            return Finding(self._loop, seconds=seconds, fields=found.fields)
        rank = problems.PROBLEMS[problem].rank
        return Finding(self._loop, problem=problem, rank=rank, seconds=_lasts(problem))


def _lasts(problem: str) -> float:
    """For how long nobody looks at such a token again."""
    if problem == problems.SIGNATURE:
        return EARLY_S
    return 0.0 if problem in _MAY_MEND else REFUSED_S
