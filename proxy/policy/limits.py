"""How often clients are let in: the rates of each port, which all who share one are counted by.

A rate stays what it is while policy asks for the same, whatever else of the policy changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.rate import Limit, Rate
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proxy.policy.server import Labels, RateLimit

RATES_MAX: Final = 10_000
"""Kept at once: each identity that calls has one."""

_HELP: Final = "Requests that inbound policy let in, beyond a rate limit."


class _Shared(NamedTuple):
    """Who is counted together: everybody, the clients of one override, or one identity (None: all who have
    none).
    """

    scope: str
    who: frozenset[str | None]
    per_second: int


class RateLimits:
    """Of all ports."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._rates: dict[tuple[int, _Shared], Rate] = {}

    def of(
        self, said: RateLimit, client: Client, port: int, *, labels: Labels
    ) -> tuple[Limit, ...]:
        """What this client must keep; `labels` are of its requests there."""
        return tuple(
            Limit(
                self._rate(port, shared),
                refusal=f"{_NAMES[shared.scope]} rate limit exceeded: {shared.per_second}rps",
                refused=self._registry.counter(
                    "inbound_http_local_ratelimit_total",
                    _HELP,
                    (
                        *labels,
                        *said.reference.labels("ratelimit"),
                        ("ratelimit_scope", shared.scope),
                    ),
                ),
            )
            for shared in _shared_by(said, client)
        )

    def _rate(self, port: int, shared: _Shared) -> Rate:
        found = self._rates.get((port, shared))
        if found is None:
            if len(self._rates) >= RATES_MAX:
                self._rates.clear()
            found = self._rates[port, shared] = Rate(shared.per_second)
        return found


_NAMES: Final = {"total": "total", "identity": "per-identity", "override": "override"}


def _shared_by(said: RateLimit, client: Client) -> Iterator[_Shared]:
    """In the order in which they are looked at. An override takes the place of the rate of each identity."""
    if said.total:
        yield _Shared("total", frozenset(), said.total)
    for one in said.overrides:
        if client.identity in one.identities:
            yield _Shared("override", frozenset(one.identities), one.per_second)
            return
    if said.identity:
        yield _Shared("identity", frozenset({client.identity}), said.identity)
