"""What every door asks: a web page, a command, another API server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from linkerd2_py.controlplane.tap.events import Told
from linkerd2_py.controlplane.tap.request import TapRequest

_NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class User:
    """Who watches, as a door has found out."""

    name: str
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default=_NOTHING)


class Tap(Protocol):
    """Whoever can tell what passes through proxies."""

    async def watch(self, request: TapRequest, *, user: User) -> AsyncGenerator[Told, None]:
        """What happens from now on, until the generator is closed (`contextlib.aclosing`) or has said that it
        ends: a `Watching` first. Raises `TapRefusedError` where it may not begin.

        Nobody waits for whoever iterates: what is not taken in time is lost, counted and told.
        """
