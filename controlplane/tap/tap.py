"""What every door asks: a web page, a command, another API server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, Self

from linkerd2_py.controlplane.tap.events import Told
from linkerd2_py.controlplane.tap.request import TapRequest

_NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class User:
    """Who watches, as a door has found out."""

    name: str
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=lambda: _NOTHING)


class Watch(Protocol):
    """What happens from now on: a `Watching` first, and an `Ended` last where it is not the watcher who has
    enough. An asynchronous iterator; whoever began it closes it (`contextlib.aclosing`).

    Nobody waits for whoever iterates: what is not taken in time is lost, counted and told.
    """

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Told:
        """The next."""

    async def within(self, seconds: float) -> Sequence[Told] | None:
        """All that is there, once there is something: None where that takes longer, nothing at the end."""

    async def aclose(self) -> None:
        """May be repeated."""


class Tap(Protocol):
    """Whoever can tell what passes through proxies."""

    async def watch(self, request: TapRequest, *, user: User) -> Watch:
        """Raises `TapRefusedError` where it may not begin."""
