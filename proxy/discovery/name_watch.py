"""The watch of a name outside the mesh: its addresses in DNS, as far as policy lets traffic go there.

Policy knows addresses. Whoever names what he wants to reach would otherwise get where he must not go: his
requests and connections follow the policy of the addresses that they go to. It is nearly always one for all
of them; where it is not, some of the addresses are left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proxy.addresses import Authority, SocketAddr, is_loopback
from linkerd2_py.proxy.discovery.client_policy import ClientPolicy
from linkerd2_py.proxy.discovery.installation import Installation
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.messages import Emptied, Replaced
from linkerd2_py.proxy.discovery.outbound_routes import Rule
from linkerd2_py.proxy.discovery.policy_follower import NOT_HAD, PolicyFollower
from linkerd2_py.proxy.discovery.steering import Steering
from linkerd2_py.proxy.discovery.ways import HERE, Refused, Way
from linkerd2_py.proxy.dns.follow import NameListener
from linkerd2_py.proxy.policy.api import UNKNOWN, PolicyApi

logger = logging.getLogger(__name__)

ASKED_MAX: Final = 32
"""Addresses of one name that policy is asked about, each with a stream of its own; more are not used."""


class NameWatch:
    """The addresses of `name` that may be reached are endpoints; where none may be, the target is refused."""

    def __init__(self, name: Authority, *, installation: Installation, lookups: Lookups) -> None:
        self._name = name
        self._installation = installation
        self._lookups = lookups
        self._asked: dict[SocketAddr, _AddressPolicy] = {}
        self._addresses: list[SocketAddr] = []
        self._held: _Said | None = None
        self._steering = Steering(name, installation=installation, lookups=lookups, go=self._go)
        opaque = name.port in lookups.opaque_ports
        self._opaque = opaque
        if lookups.policies is None:
            installation.configure(opaque=opaque)
        else:
            installation.target.await_routes()
        listener = NameListener(on_addresses=self._on_addresses, on_absent=self._on_absent)
        self._task = lookups.dns(name, listener=listener)

    def close(self) -> None:
        self._task.cancel()
        for asked in self._asked.values():
            asked.close()
        self._steering.close()

    def _on_absent(self) -> None:
        self._installation.apply(Emptied(exists=False))

    def _on_addresses(self, hosts: tuple[str, ...]) -> None:
        found = [SocketAddr(host, self._name.port) for host in hosts]
        api = self._lookups.policies
        if api is None:
            self._addresses = found
            self._install()
            return
        found = sorted(found)[:ASKED_MAX]
        for gone in self._asked.keys() - set(found):
            self._asked.pop(gone).close()
        for address in found:
            if address not in self._asked:
                self._asked[address] = _AddressPolicy(address, api=api, on_change=self._settle)
        self._settle()

    def _settle(self) -> None:
        """What the addresses follow that are used: of several policies that of most addresses, among those
        that let something go there.
        """
        said: dict[_Said, list[SocketAddr]] = {}
        for asked in self._asked.values():
            if asked.said is not None:
                said.setdefault(asked.said, []).append(asked.address)
        if not said:
            return
        ranked = sorted(said, key=lambda one: (self._refusal(one) is not None, *_rank(said[one])))
        chosen = ranked[0]
        whole = sum(map(len, said.values())) == len(self._asked)
        if not whole and self._refusal(chosen) is not None:
            # One that may be reached may still be among the others.
            return
        self._addresses = said[chosen]
        if chosen == self._held:
            if self._steering.is_settled:
                self._go(self._refusal(chosen))
            return
        if len(ranked) > 1 and self._refusal(ranked[1]) is None:
            left_out = ", ".join(one.host for each in ranked[1:] for one in said[each])
            logger.warning("%s: other policies hold for %s: left out", self._name, left_out)
        self._held = chosen
        self._follow(chosen)

    def _follow(self, said: _Said) -> None:
        refusal = self._refusal(said)
        if said.policy is None:
            self._steering.close()
            self._installation.belong(None)
            self._installation.guard(None)
            self._installation.configure(opaque=self._opaque)
            self._go(refusal)
            return
        opaque = self._opaque or said.policy.http is None
        self._steering.follow(said.policy, own=refusal or HERE, opaque=opaque)

    def _refusal(self, said: _Said) -> Refused | None:
        """Why nothing at all goes there."""
        if said.policy is None:
            return NOT_HAD if said.not_had else None
        return _refusal(said.policy, opaque=self._opaque)

    def _go(self, way: Way | None) -> None:
        if isinstance(way, Refused):
            self._installation.reject(way.status, text=way.text)
        else:
            self._install()

    def _install(self) -> None:
        self._installation.apply(Replaced(tuple(map(self._lookups.at, self._addresses))))


class NameInstead:
    """A name as it was spelled, in the place of a service of the mesh that there is not: watched while it
    stands in.
    """

    def __init__(self, *, installation: Installation, lookups: Lookups) -> None:
        self._installation = installation
        self._lookups = lookups
        self._watch: NameWatch | None = None

    @property
    def stands_in(self) -> bool:
        return self._watch is not None

    def start(self, name: Authority) -> None:
        """Idempotent."""
        if self._watch is None:
            self._watch = NameWatch(name, installation=self._installation, lookups=self._lookups)

    def stop(self) -> bool:
        """Whether it stood in. Idempotent."""
        if self._watch is None:
            return False
        self._watch.close()
        self._watch = None
        return True


class _Said(NamedTuple):
    """What is said of an address, whichever it is. `policy`: None where there is none, or where it cannot be
    had (`not_had`).
    """

    policy: ClientPolicy | None = None
    not_had: bool = False


class _AddressPolicy:
    """What policy says of one address; that there is none counts as an answer. `said`: None before it."""

    def __init__(
        self, address: SocketAddr, *, api: PolicyApi, on_change: Callable[[], None]
    ) -> None:
        self.address = address
        self.said: _Said | None = _Said() if is_loopback(address.host) else None
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        if self.said is None:
            self._task = PolicyFollower(address, watch=self).start(api)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def on_policy(self, policy: ClientPolicy) -> None:
        self._say(_Said(policy.at(self.address)))

    def on_policy_rejected(self, code: Code) -> None:
        if self.said is None or self.said.policy is None:
            logger.debug("%s: the policy controller says %s", self.address, code.name)
            self._say(_Said(not_had=code not in UNKNOWN))

    def _say(self, said: _Said) -> None:
        if said != self.said:
            self.said = said
            self._on_change()


def _rank(addresses: list[SocketAddr]) -> tuple[bool, int, SocketAddr]:
    """The lesser, the rather: what everybody can reach (IPv6 is not everywhere), then most of them."""
    return all(":" in one.host for one in addresses), -len(addresses), min(addresses)


def _refusal(policy: ClientPolicy, *, opaque: bool) -> Refused | None:
    """What all that goes there gets."""
    bytes_: Way | None = None
    if policy.connections is not None:
        bytes_ = policy.connections.way(HERE)
        if not isinstance(bytes_, Refused):
            return None
    if policy.routes is None:
        return bytes_ if isinstance(bytes_, Refused) else _refused(policy.http)
    if opaque and bytes_ is not None:
        return _refused(bytes_)
    both = (policy.routes.routes, policy.routes.of_http2)
    rules = [rule for one in both if one is not None for rule in one.rules]
    return _refused(policy.http) if all(map(_refuses, rules)) else None


def _refuses(rule: Rule) -> bool:
    injected = rule.filters.injected
    if injected is not None and injected.always:
        return True
    return all(isinstance(one.way, Refused) for one in rule.destinations)


def _refused(way: Way | None) -> Refused | None:
    return way if isinstance(way, Refused) else None
