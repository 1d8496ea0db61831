"""The rules as text for `iptables-restore --noflush`: Linkerd's chains, in Linkerd's order, with its
comments.

Declaring a chain creates or empties it, and all of a text takes effect at once. Jumps into our chains are
added only where there are none, so that whatever ran before, the result is that of the last run alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

Family = Literal[4, 6]

INBOUND_CHAIN: Final = "PROXY_INIT_REDIRECT"
OUTBOUND_CHAIN: Final = "PROXY_INIT_OUTPUT"
_CHAINS: Final = {"PREROUTING": INBOUND_CHAIN, "OUTPUT": OUTBOUND_CHAIN}
_SLOTS_OF_A_MATCH: Final = 15
"""Ports that one multiport match takes; a range counts twice (iptables-extensions)."""


class Ports(NamedTuple):
    """An inclusive range; one port is a range of its own."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"


class Redirection(NamedTuple):
    """What goes to the proxy, and what passes it by. `subnets` are texts by family; None: no such user or
    group.
    """

    inbound_port: int
    outbound_port: int
    uid: int | None = None
    gid: int | None = None
    only_inbound: tuple[int, ...] = ()
    skip_inbound: tuple[Ports, ...] = ()
    skip_outbound: tuple[Ports, ...] = ()
    subnets: tuple[tuple[Family, str], ...] = ()


def rules_text(wanted: Redirection, *, family: Family, existing: str) -> str:
    """What to load so that exactly `wanted` holds; `existing` is what `iptables-save -t nat` prints now."""
    return _table(
        [
            *_inbound(wanted, family=family),
            *_jump("PREROUTING", existing=existing, comment="install-proxy-init-prerouting"),
            *_outbound(wanted),
            *_jump("OUTPUT", existing=existing, comment="install-proxy-init-output"),
        ]
    )


def missing_rules(wanted: Redirection, *, family: Family, existing: str) -> list[str]:
    """Which of the rules are not there, by their comments, in the order in which they should be; what is in
    our chains that should not be is missed as well. Empty: exactly `wanted` holds.
    """
    missing = [
        f"a jump from {origin}" for origin in _CHAINS if not _jumps_in(existing, origin=origin)
    ]
    for chain, lines in (
        (INBOUND_CHAIN, _inbound(wanted, family=family)),
        (OUTBOUND_CHAIN, _outbound(wanted)),
    ):
        should, are = _comments(lines, chain=chain), _comments(existing.splitlines(), chain=chain)
        if should != are:
            lacking = [one for one in should if one not in are]
            missing += lacking or [f"the order of {chain}"]
    return missing


def cleanup_text(*, existing: str) -> str:
    """What to load so that nothing of ours is left; empty when nothing is there."""
    jumps = [f"-D{rule[2:]}" for origin in _CHAINS for rule in _jumps_in(existing, origin=origin)]
    chains = [chain for chain in _CHAINS.values() if f":{chain} " in existing]
    if not chains:
        return ""
    return _table([*jumps, *(f"-X {chain}" for chain in chains)], chains=chains)


def restored_text(*, existing: str) -> str:
    """What to load so that our chains and jumps are again as in `existing`, whatever they are now."""
    ours = [
        line
        for line in existing.splitlines()
        if line.startswith("-A") and any(chain in line.split() for chain in _CHAINS.values())
    ]
    return _table(ours) if ours else ""


def count_rules(text: str) -> int:
    """How many rules a text adds."""
    return sum(line.startswith("-A") for line in text.splitlines())


def _table(lines: Iterable[str], *, chains: Sequence[str] = tuple(_CHAINS.values())) -> str:
    declared = (f":{chain} - [0:0]" for chain in chains)
    return "".join(f"{line}\n" for line in ("*nat", *declared, *lines, "COMMIT"))


def _inbound(wanted: Redirection, *, family: Family) -> Iterator[str]:
    yield from _skipped_ports(INBOUND_CHAIN, wanted.skip_inbound)
    for of_family, subnet in wanted.subnets:
        if of_family == family:
            yield _rule(INBOUND_CHAIN, f"-p all -j RETURN -s {subnet}", f"ignore-subnet-{subnet}")
    to_proxy = f"-j REDIRECT --to-port {wanted.inbound_port}"
    if not wanted.only_inbound:
        yield _rule(INBOUND_CHAIN, f"-p tcp {to_proxy}", "redirect-all-incoming-to-proxy-port")
    for port in wanted.only_inbound:
        match = f"-p tcp --destination-port {port} {to_proxy}"
        yield _rule(INBOUND_CHAIN, match, f"redirect-port-{port}-to-proxy-port")


def _outbound(wanted: Redirection) -> Iterator[str]:
    # The proxy's own connections must not come back to it.
    if wanted.uid is not None:
        owner = f"-m owner --uid-owner {wanted.uid} -j RETURN"
        yield _rule(OUTBOUND_CHAIN, owner, "ignore-proxy-user-id")
    if wanted.gid is not None:
        owner = f"-m owner --gid-owner {wanted.gid} -j RETURN"
        yield _rule(OUTBOUND_CHAIN, owner, "ignore-proxy-group-id")
    yield _rule(OUTBOUND_CHAIN, "-o lo -j RETURN", "ignore-loopback")
    yield from _skipped_ports(OUTBOUND_CHAIN, wanted.skip_outbound)
    to_proxy = f"-p tcp -j REDIRECT --to-port {wanted.outbound_port}"
    yield _rule(OUTBOUND_CHAIN, to_proxy, "redirect-all-outgoing-to-proxy-port")


def _skipped_ports(chain: str, ports: Iterable[Ports]) -> Iterator[str]:
    for group in _matches(ports):
        listed = ",".join(map(str, group))
        match = f"-p tcp --match multiport --dports {listed} -j RETURN"
        yield _rule(chain, match, f"ignore-port-{listed}")


def _matches(ports: Iterable[Ports]) -> Iterator[list[Ports]]:
    """Groups that one match takes each."""
    group: list[Ports] = []
    slots = 0
    for one in ports:
        needed = 1 if one.first == one.last else 2
        if slots + needed > _SLOTS_OF_A_MATCH:
            yield group
            group, slots = [], 0
        group.append(one)
        slots += needed
    if group:
        yield group


def _comments(lines: Iterable[str], *, chain: str) -> list[str]:
    """Of a chain's rules, as we write them or as they are saved: there one word has no quotes."""
    found = (re.match(rf'-A {chain} .*--comment "?([^" ]+)', line) for line in lines)
    return [one[1] for one in found if one]


def _jump(origin: str, *, existing: str, comment: str) -> Iterator[str]:
    if not _jumps_in(existing, origin=origin):
        yield _rule(origin, f"-j {_CHAINS[origin]}", comment)


def _jumps_in(existing: str, *, origin: str) -> list[str]:
    """Rules of the built-in chain `origin` that lead to ours, whoever wrote them and with whatever
    comment.
    """
    jump = re.compile(rf"-A {origin} (.* )?-j {_CHAINS[origin]}( .*)?\Z")
    return [line for line in existing.splitlines() if jump.match(line)]


def _rule(chain: str, match: str, comment: str) -> str:
    return f'-A {chain} {match} -m comment --comment "proxy-init/{comment}"'
