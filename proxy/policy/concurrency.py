"""How many requests are let in at once: the seats of each port, which all who share some take from.

Seats stay what they are while somebody has one or may, whatever becomes of the limit: who is in flight when
it changes counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from linkerd2_py._ext.exchange.seats import Seating, SeatLimit, Seats
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proxy.policy.server import ConcurrencyLimit, Labels

_HELP: Final = "Requests that inbound policy let in, beyond a limit on those in flight."
_FULL: Final = 503
"""The workload has enough to do: another replica may serve."""
_TOO_MANY: Final = 429
"""The client asks too much at once, and would of any replica."""


class _Shared(NamedTuple):
    """Who is counted together, as with rates."""

    scope: str
    who: frozenset[str | None]


class ConcurrencyLimits:
    """Of all ports."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._seats: WeakValueDictionary[tuple[int, _Shared], Seats] = WeakValueDictionary()

    def of(
        self, said: ConcurrencyLimit, client: Client, port: int, *, labels: Labels
    ) -> Seating | None:
        """What this client must keep; `labels` are of its requests there."""
        limits = [
            SeatLimit(
                self._of(port, shared),
                most,
                refusal=f"{_NAMES[shared.scope]} concurrency limit exceeded: {most} requests",
                status=_FULL if shared.scope == "total" else _TOO_MANY,
                refused=self._registry.counter(
                    "inbound_http_local_concurrency_total",
                    _HELP,
                    (*labels, ("concurrency_scope", shared.scope)),
                ),
            )
            for shared, most in _shared_by(said, client)
        ]
        return Seating(limits) if limits else None

    @property
    def seats(self) -> int:
        """How many kinds of them there are now."""
        return len(self._seats)

    def _of(self, port: int, shared: _Shared) -> Seats:
        found = self._seats.get((port, shared))
        if found is None:
            found = self._seats[port, shared] = Seats()
        return found


_NAMES: Final = {"total": "total", "identity": "per-identity", "override": "override"}


def _shared_by(said: ConcurrencyLimit, client: Client) -> Iterator[tuple[_Shared, int]]:
    """In the order in which they are looked at, each with how many may be in flight. An override takes the
    place of the limit of each identity.
    """
    if said.total:
        yield _Shared("total", frozenset()), said.total
    for one in said.overrides:
        if client.identity in one.identities:
            yield _Shared("override", frozenset(one.identities)), one.requests
            return
    if said.identity:
        yield _Shared("identity", frozenset({client.identity})), said.identity
