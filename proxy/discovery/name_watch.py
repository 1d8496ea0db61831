"""The watch of a name outside the mesh: its addresses in DNS, as far as policy lets traffic go there.

Policy knows addresses. Whoever names what he wants to reach would otherwise get where he must not go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proxy.addresses import Authority, SocketAddr, is_loopback
from linkerd2_py.proxy.discovery.client_policy import ClientPolicy
from linkerd2_py.proxy.discovery.installation import Installation
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.messages import Emptied, Replaced
from linkerd2_py.proxy.discovery.policy_follower import NOT_HAD, PolicyFollower
from linkerd2_py.proxy.discovery.ways import Refused, Way
from linkerd2_py.proxy.dns.follow import NameListener
from linkerd2_py.proxy.policy.api import UNKNOWN, PolicyApi

logger = logging.getLogger(__name__)

ASKED_MAX: Final = 32
"""Addresses of one name that policy is asked about, each with a stream of its own; more are not used."""


class NameWatch:
    """All addresses of `name` that may be reached are endpoints; where none may be, the target is refused."""

    def __init__(self, name: Authority, *, installation: Installation, lookups: Lookups) -> None:
        self._port = name.port
        self._installation = installation
        self._lookups = lookups
        self._asked: dict[SocketAddr, _AddressPolicy] = {}
        listener = NameListener(on_addresses=self._on_addresses, on_absent=self._on_absent)
        self._task = lookups.dns(name, listener=listener)

    def close(self) -> None:
        self._task.cancel()
        for asked in self._asked.values():
            asked.close()
        self._installation.require_http(required=False)

    def _on_absent(self) -> None:
        self._installation.apply(Emptied(exists=False))

    def _on_addresses(self, hosts: tuple[str, ...]) -> None:
        found = [SocketAddr(host, self._port) for host in hosts]
        api = self._lookups.policies
        if api is None:
            self._install(found)
            return
        found = sorted(found)[:ASKED_MAX]
        for gone in self._asked.keys() - set(found):
            self._asked.pop(gone).close()
        for address in found:
            if address not in self._asked:
                self._asked[address] = _AddressPolicy(address, api=api, on_change=self._settle)
        self._settle()

    def _settle(self) -> None:
        opaque = self._port in self._lookups.opaque_ports
        answered = [asked for asked in self._asked.values() if asked.answered]
        refusals = [asked.refusal(opaque=opaque) for asked in answered]
        allowed = [asked for asked, no in zip(answered, refusals, strict=True) if no is None]
        refusal = next((no for no in refusals if no is not None), None)
        if not allowed and refusal is not None and len(answered) == len(self._asked):
            self._installation.reject(refusal.status, text=refusal.text)
            return
        self._installation.require_http(required=any(one.only_http for one in allowed))
        self._install([one.address for one in allowed])

    def _install(self, addresses: list[SocketAddr]) -> None:
        self._installation.apply(Replaced(tuple(map(self._lookups.at, addresses))))


class NameInstead:
    """A name as it was spelled, in the place of a service of the mesh that there is not: watched while it
    stands in.
    """

    def __init__(self, *, installation: Installation, lookups: Lookups) -> None:
        self._installation = installation
        self._lookups = lookups
        self._watch: NameWatch | None = None

    def start(self, name: Authority) -> None:
        """Idempotent."""
        if self._watch is None:
            self._watch = NameWatch(name, installation=self._installation, lookups=self._lookups)

    def stop(self) -> None:
        """Idempotent."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None


class _AddressPolicy:
    """What policy says of one address; that there is none counts as an answer."""

    def __init__(
        self, address: SocketAddr, *, api: PolicyApi, on_change: Callable[[], None]
    ) -> None:
        self.address = address
        self.answered = is_loopback(address.host)
        self._policy: ClientPolicy | None = None
        self._not_had = False
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        if not self.answered:
            self._task = PolicyFollower(address, watch=self).start(api)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    @property
    def only_http(self) -> bool:
        """Whether what is no HTTP may not go there."""
        return self._policy is not None and not _is_open(self._policy.opaque)

    def refusal(self, *, opaque: bool) -> Refused | None:
        """Why nothing goes there; `opaque`: nobody looks whether it is HTTP."""
        if self._policy is None:
            return NOT_HAD if self._not_had else None
        first, second = self._policy.http, self._policy.opaque
        way = (second or first) if opaque else (first or second)
        return way if isinstance(way, Refused) else None

    def on_policy(self, policy: ClientPolicy) -> None:
        if policy != self._policy:
            self.answered, self._policy = True, policy
            self._on_change()

    def on_policy_rejected(self, code: Code) -> None:
        if self._policy is None:
            logger.debug("%s: the policy controller says %s", self.address, code.name)
            self.answered, self._not_had = True, code not in UNKNOWN
            self._on_change()


def _is_open(way: Way | None) -> bool:
    return way is not None and not isinstance(way, Refused)
