"""What holds for each port of the workload: what the policy controller says, and until it has said something
the default of this proxy.

A port is followed while somebody uses it. An answer holds until the next one comes, whatever becomes of the
stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proxy.config.types import InboundPolicy
from linkerd2_py.proxy.policy import messages
from linkerd2_py.proxy.policy.api import PolicyApi
from linkerd2_py.proxy.policy.server import (
    INVALID,
    Protocol,
    ServerPolicy,
    default_policy,
)

logger = logging.getLogger(__name__)


FOLLOWED_MAX: Final = 500
"""Ports that are followed because somebody connected to them: whoever tries them all must not make us ask the
controller about each."""


class _Demands(NamedTuple):
    """What the environment asks of all clients of a port."""

    tls: bool
    identity: bool


class PortPolicies:
    """Policies by port. `on_change(port)` hears of each that is another one now."""

    def __init__(
        self,
        policy: InboundPolicy,
        *,
        opaque_ports: frozenset[int],
        api: PolicyApi | None,
        on_change: Callable[[int], None],
    ) -> None:
        self._policy = policy
        self._opaque_ports = opaque_ports
        self._api = api
        self._on_change = on_change
        self._users: Counter[int] = Counter()
        self._always = 0
        self._followers: dict[int, _PortFollower] = {}
        self._defaults: dict[tuple[_Demands, bool], ServerPolicy] = {}

    def of(self, port: int) -> ServerPolicy:
        """What holds now."""
        follower = self._followers.get(port)
        if follower is not None and follower.holds is not None:
            return follower.holds
        return self._default(port)

    def begin(self, port: int) -> None:
        """One more uses this port."""
        if self._api is None:
            return
        self._users[port] += 1
        if port not in self._followers:
            self._followers[port] = _PortFollower(
                port, api=self._api, demands=self._demands(port), told=self._on_change
            )

    def begin_always(self, ports: Iterable[int]) -> None:
        """These are in use as long as we are, as those are that have begun before."""
        for port in ports:
            self.begin(port)
        self._always = len(self._followers)

    def has_room(self, port: int) -> bool:
        """Whether it is followed, or one more port may be."""
        followed = len(self._followers) - self._always
        return self._api is None or port in self._followers or followed < FOLLOWED_MAX

    def end(self, port: int) -> None:
        """One fewer does."""
        self._users[port] -= 1
        if self._users[port] <= 0:
            del self._users[port]
            follower = self._followers.pop(port, None)
            if follower is not None:
                follower.close()

    def close(self) -> None:
        """Stop asking. Idempotent."""
        for follower in self._followers.values():
            follower.close()

    async def settled(self) -> None:
        """After `close`: until no call of ours is left in the engine."""
        if self._api is not None and self._api.running:
            await asyncio.wait(self._api.running)

    def _default(self, port: int) -> ServerPolicy:
        """One object for all ports that ask for the same."""
        key = self._demands(port), port in self._opaque_ports
        found = self._defaults.get(key)
        if found is None:
            found = self._defaults[key] = _default(self._policy, *key)
        return found

    def _demands(self, port: int) -> _Demands:
        """They hold beside what the controller says, too."""
        policy = self._policy
        return _Demands(port in policy.require_tls, port in policy.require_identity)


def _default(policy: InboundPolicy, demands: _Demands, opaque: bool) -> ServerPolicy:  # noqa: FBT001
    """A port that requires identity turns an unauthenticated policy into its authenticated one, as Linkerd's
    controller does.
    """
    name = policy.default
    if demands.identity:
        name = name.replace("-unauthenticated", "-authenticated")
    found = default_policy(name, cluster_networks=policy.cluster_networks)
    if opaque:
        found = found._replace(protocol=Protocol.OPAQUE)
    return found.stricter(tls=demands.tls, identity=demands.identity)


class _PortFollower:
    """The stream of one port."""

    def __init__(
        self, port: int, *, api: PolicyApi, demands: _Demands, told: Callable[[int], None]
    ) -> None:
        self._port = port
        self._demands = demands
        self._told = told
        self.holds: ServerPolicy | None = None
        """What was answered last, with our demands."""
        self._task = api.watch_port(port, follower=self)

    def close(self) -> None:
        self._task.cancel()

    def on_connected(self) -> None:
        """What was said holds until something else is."""

    def on_message(self, raw: bytes) -> None:
        message = inbound.Server.FromString(raw)
        try:
            policy = messages.server(message)
        except ValueError as error:
            logger.warning("port %d: invalid policy, nobody is let in: %s", self._port, error)
            policy = INVALID
        policy = policy.stricter(tls=self._demands.tls, identity=self._demands.identity)
        if policy != self.holds:
            self.holds = policy
            logger.info("port %d: %s, %s", self._port, policy.reference, policy.protocol.value)
            for line in shortcomings(policy):
                logger.warning("port %d: %s", self._port, line)
            self._told(self._port)

    def on_failed(self) -> None:
        """Nor does a control plane that is away change anything."""

    def on_rejected(self, code: Code) -> None:
        """The policy that is held stays: the default one, where there was none."""
        logger.warning("port %d: the policy controller says %s", self._port, code.name)


def shortcomings(policy: ServerPolicy) -> list[str]:
    """What of a policy is not done, each with what is done instead."""
    return [
        f"{route.reference}: left out: {', '.join(route.left_out)}"
        for route in policy.routes
        if route.left_out
    ]
