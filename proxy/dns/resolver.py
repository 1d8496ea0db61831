"""A name to its addresses: hosts file, then the servers of resolv.conf along the search path.

A and AAAA are asked together, and what came is used when the other is late. An absence (NXDOMAIN, or no
address of either kind) leads on to the next name of the search path; a failure does not, for the next
name may be somebody else's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.proxy.addresses import SocketAddr, is_host_name, unpack_ip
from linkerd2_py.proxy.dns.ask import ask
from linkerd2_py.proxy.dns.message import (
    RCODE_NO_NAME,
    RCODE_OK,
    TYPE_A,
    TYPE_AAAA,
    MessageError,
    Reply,
)
from linkerd2_py.proxy.dns.settings import Hosts, ResolverSettings, Settings

FILE_TTL_S: Final = 10.0
"""How long an answer of the hosts file is trusted: it is read again when it has changed."""
ABSENCE_TTL_S: Final = 5.0
"""How long an absence lives when the server names no time."""

_MOMENT_S: Final = 0.05
"""How long addresses of one family wait for those of the other (RFC 8305 section 3)."""
_PATIENCE_S: Final = 1.0
"""How long one server may be silent before the next is asked, too: well inside the fail-fast period of a
target."""
_ALIASES_MAX: Final = 8
"""Questions about one alias after the other; a longer chain is a loop or a mistake."""

_LOOPBACK: Final = (socket.inet_pton(socket.AF_INET, "127.0.0.1"),)
_KINDS: Final = {TYPE_A: "A", TYPE_AAAA: "AAAA"}


class ResolveError(Exception):
    """No server gave a usable answer; an earlier one stays the best known."""


class NameAbsentError(Exception):
    """The servers say that there is no such name, or no address under it. `ttl_s`: for how long."""

    def __init__(self, name: str, *, ttl_s: float) -> None:
        super().__init__(f"{name}: no such name")
        self.ttl_s = ttl_s


class Resolution(NamedTuple):
    """IP literals, and how many seconds they may be used without asking again."""

    addresses: tuple[str, ...]
    ttl_s: float


Counter = Callable[[str, str], None]
"""Called with the record type (`A`, `AAAA`) and the result (`ok`, `not_found`, `error`)."""

OnPartial = Callable[[Resolution], None]


class Resolver:
    """Asks on behalf of all targets; holds no cache, the watches do."""

    def __init__(self, settings: Settings, *, hosts: Hosts, count: Counter) -> None:
        self._settings = settings
        self._hosts = hosts
        self._count = count

    async def resolve(self, name: str, *, on_partial: OnPartial | None = None) -> Resolution:
        """The addresses of `name`. NameAbsentError, or ResolveError when nobody could say.

        `on_partial` gets the addresses of one family when those of the other are late; they go on being
        asked for, until what came is itself to be asked again.
        """
        if not is_host_name(name):
            raise NameAbsentError(name, ttl_s=ABSENCE_TTL_S)
        listed = self._hosts.addresses(name) or _localhost(name)
        if listed:
            return Resolution(tuple(map(unpack_ip, listed)), FILE_TTL_S)
        settings, shortest = self._settings.current, None
        for candidate in candidates(name, settings=settings):
            try:
                return await self._resolve_one(candidate, settings, on_partial=on_partial)
            except NameAbsentError as absent:
                shortest = absent.ttl_s if shortest is None else min(shortest, absent.ttl_s)
        raise NameAbsentError(name, ttl_s=ABSENCE_TTL_S if shortest is None else shortest)

    async def _resolve_one(
        self, name: str, settings: ResolverSettings, *, on_partial: OnPartial | None
    ) -> Resolution:
        asking = [
            spawn(self._ask_through(name, settings, kind=kind), name=f"dns-question {name}")
            for kind in _KINDS
        ]
        try:
            answers = await _collect(asking, on_partial=on_partial)
        finally:
            await cancel_all(asking)
        found = _resolution(answers)
        if found is not None:
            return found
        good = [answer for answer in answers if answer is not None]
        if len(good) < len(_KINDS) and not _is_denied(good):
            raise ResolveError(f"{name}: no usable answer from any name server")
        ttls = [answer.ttl_s for answer in good if answer.ttl_s is not None]
        raise NameAbsentError(name, ttl_s=float(min(ttls)) if ttls else ABSENCE_TTL_S)

    async def _ask_through(
        self, name: str, settings: ResolverSettings, *, kind: int
    ) -> Reply | None:
        """The answer at the end of the aliases, where servers give no more than the next one; None when
        there is none.
        """
        ttls: list[int] = []
        for _ in range(_ALIASES_MAX):
            answer = await _ask_any(name, settings, kind=kind)
            if answer is None:
                break
            ttls += [] if answer.ttl_s is None else [answer.ttl_s]
            if not answer.alias:
                self._count(_KINDS[kind], "ok" if answer.addresses else "not_found")
                return answer._replace(ttl_s=min(ttls, default=None))
            name = answer.alias
        self._count(_KINDS[kind], "error")
        return None


async def _collect(
    asking: Sequence[asyncio.Task[Reply | None]], *, on_partial: OnPartial | None
) -> list[Reply | None]:
    """The answers to one name's questions, in their order; without those that are late when there are
    addresses enough.

    Servers exist that deny every name when they are asked for AAAA (RFC 4074 section 4.2), so only A's
    denial is the last word.
    """
    pending, answers = set(asking), list[Reply | None]()
    about_a = asking[0]
    patience_s: float | None = None
    while pending and not (about_a.done() and _is_denied(answers)):
        done, pending = await asyncio.wait(
            pending, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
        )
        answers = [task.result() for task in asking if task not in pending]
        found = _resolution(answers)
        if found is None or not any(map(_is_reachable, found.addresses)):
            continue
        if done:
            patience_s = _MOMENT_S
        elif patience_s == _MOMENT_S and on_partial is not None:
            on_partial(found)
            patience_s = max(found.ttl_s, _PATIENCE_S)
        else:
            break
    return answers


async def _ask_any(name: str, settings: ResolverSettings, *, kind: int) -> Reply | None:
    """The first usable answer; None when every server failed every time.

    Each is asked when the one before it has failed; and when that has been silent for a while, beside it.
    """
    waiting: set[asyncio.Task[Reply | None]] = set()
    others = len(settings.servers) > 1
    try:
        for server in settings.servers * settings.attempts:
            question = _ask_one(server, name, kind=kind, timeout_s=settings.timeout_s)
            waiting.add(spawn(question, name=f"dns-question {name}"))
            answer = await _first(waiting, timeout_s=_PATIENCE_S if others else None)
            if answer is not None:
                return answer
        return await _first(waiting, timeout_s=None)
    finally:
        await cancel_all(waiting)


async def _ask_one(server: SocketAddr, name: str, *, kind: int, timeout_s: float) -> Reply | None:
    try:
        answer = await ask(server, name=name, kind=kind, timeout_s=timeout_s)
    except (OSError, TimeoutError, MessageError):
        return None
    return answer if answer.rcode in {RCODE_OK, RCODE_NO_NAME} else None


async def _first(
    waiting: set[asyncio.Task[Reply | None]], *, timeout_s: float | None
) -> Reply | None:
    """The first answer of those that are `waiting`; who is done leaves the set. None when all failed or
    the time is over.
    """
    loop = asyncio.get_running_loop()
    end = None if timeout_s is None else loop.time() + timeout_s
    while waiting:
        left = None if end is None else end - loop.time()
        done, _ = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        waiting -= done
        for task in done:
            if (answer := task.result()) is not None:
                return answer
    return None


def _resolution(answers: Sequence[Reply | None]) -> Resolution | None:
    """What answers with addresses say together; None without any."""
    good = [answer for answer in answers if answer is not None and answer.addresses]
    packed = [address for answer in good for address in answer.addresses]
    ttls = [answer.ttl_s for answer in good if answer.ttl_s is not None]
    return Resolution(tuple(map(unpack_ip, _reachable(packed))), float(min(ttls))) if good else None


def _is_denied(answers: Sequence[Reply | None]) -> bool:
    """Whether one of them says that there is no such name, which holds for every type."""
    return any(answer is not None and answer.rcode == RCODE_NO_NAME for answer in answers)


def candidates(name: str, *, settings: ResolverSettings) -> tuple[str, ...]:
    """Full names to try, in order: resolv.conf(5) on `search` and `ndots`. What a suffix makes too long
    is left out.
    """
    if name.endswith("."):
        return (name.removesuffix("."),)
    completed = (f"{name}.{suffix}".removesuffix(".") for suffix in settings.search)
    searched = tuple(filter(is_host_name, completed))
    if name.count(".") >= settings.ndots:
        return (name, *searched)
    return (*searched, name)


def _localhost(name: str) -> tuple[bytes, ...]:
    """RFC 6761 section 6.3: never asked of a server."""
    plain = name.lower().removesuffix(".")
    return _LOOPBACK if plain == "localhost" or plain.endswith(".localhost") else ()


def _reachable(packed: list[bytes]) -> list[bytes]:
    """Without addresses of a family this machine has no route for; all of them when none has one."""
    routed = [address for address in packed if _is_reachable(unpack_ip(address))]
    return routed or packed


def _is_reachable(host: str) -> bool:
    """Whether there may be a route. Connecting a datagram socket sends nothing: it only looks it up."""
    if ":" not in host:
        return True
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return False
    return True
