"""A name to its addresses: hosts file, then the servers of resolv.conf along the search path.

A and AAAA are asked together. An absence (NXDOMAIN, or no address of either kind) leads on to the next
name of the search path; a failure does not, for the next name may be somebody else's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from linkerd2_py.proxy.addresses import is_host_name, unpack_ip
from linkerd2_py.proxy.dns.ask import ask
from linkerd2_py.proxy.dns.message import (
    RCODE_NO_NAME,
    RCODE_OK,
    TYPE_A,
    TYPE_AAAA,
    Answer,
    MessageError,
)
from linkerd2_py.proxy.dns.settings import Hosts, ResolverSettings

FILE_TTL_S: Final = 10.0
"""How long an answer of the hosts file is trusted: it is read again when it has changed."""
ABSENCE_TTL_S: Final = 5.0
"""How long an absence lives when the server names no time."""

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


class Resolver:
    """Asks on behalf of all targets; holds no cache, the watches do."""

    def __init__(self, settings: ResolverSettings, *, hosts: Hosts, count: Counter) -> None:
        self._settings = settings
        self._hosts = hosts
        self._count = count

    async def resolve(self, name: str) -> Resolution:
        """The addresses of `name`. NameAbsentError, or ResolveError when nobody could say."""
        if not is_host_name(name):
            raise NameAbsentError(name, ttl_s=ABSENCE_TTL_S)
        listed = self._hosts.addresses(name) or _localhost(name)
        if listed:
            return Resolution(tuple(map(unpack_ip, listed)), FILE_TTL_S)
        shortest = None
        for candidate in candidates(name, settings=self._settings):
            try:
                return await self._resolve_one(candidate)
            except NameAbsentError as absent:
                shortest = absent.ttl_s if shortest is None else min(shortest, absent.ttl_s)
        raise NameAbsentError(name, ttl_s=ABSENCE_TTL_S if shortest is None else shortest)

    async def _resolve_one(self, name: str) -> Resolution:
        answers = await asyncio.gather(*(self._ask_any(name, kind=kind) for kind in _KINDS))
        good = [answer for answer in answers if answer is not None]
        packed = [address for answer in good for address in answer.addresses]
        if packed:
            ttls = [
                answer.ttl_s for answer in good if answer.addresses and answer.ttl_s is not None
            ]
            return Resolution(tuple(map(unpack_ip, _reachable(packed))), float(min(ttls)))
        denied = any(answer.rcode == RCODE_NO_NAME for answer in good)  # holds for every type
        if len(good) < len(answers) and not denied:
            raise ResolveError(f"{name}: no usable answer from any name server")
        ttls = [answer.ttl_s for answer in good if answer.ttl_s is not None]
        raise NameAbsentError(name, ttl_s=float(min(ttls)) if ttls else ABSENCE_TTL_S)

    async def _ask_any(self, name: str, *, kind: int) -> Answer | None:
        """The first usable answer; None when every server failed every time."""
        servers = self._settings.servers * self._settings.attempts
        for server in servers:
            try:
                answer = await ask(server, name=name, kind=kind, timeout_s=self._settings.timeout_s)
            except (OSError, TimeoutError, MessageError):
                continue
            if answer.rcode in {RCODE_OK, RCODE_NO_NAME}:
                self._count(_KINDS[kind], "ok" if answer.addresses else "not_found")
                return answer
        self._count(_KINDS[kind], "error")
        return None


def candidates(name: str, *, settings: ResolverSettings) -> tuple[str, ...]:
    """Full names to try, in order: resolv.conf(5) on `search` and `ndots`. What a suffix makes too long is left out."""
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
    routed = [address for address in packed if len(address) == 4 or _has_route(address)]
    return routed or packed


def _has_route(packed: bytes) -> bool:
    """Connecting a datagram socket sends nothing: it only looks up the route."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((unpack_ip(packed), 9))
        except OSError:
            return False
    return True
