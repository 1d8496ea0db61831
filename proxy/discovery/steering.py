"""A target that follows what outbound policy says: its requests and its connections take the ways of their
routes. Routes are compiled beside traffic, which follows those of before until then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final

from linkerd2_py._ext.exchange.plan import Plan, Refusal
from linkerd2_py._ext.exchange.ways import Split
from linkerd2_py._ext.exchange.ways import Way as EngineWay
from linkerd2_py._ext.policy.connections import ConnectionRoutes
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.tasks import spawn
from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.discovery.client_policy import ClientPolicy
from linkerd2_py.proxy.discovery.connection_rules import ConnectionPlans
from linkerd2_py.proxy.discovery.installation import Installation
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.outbound_routes import HttpRoutes
from linkerd2_py.proxy.discovery.outbound_tables import (
    NO_ROUTE,
    RulePlans,
    compile_table,
    leads_to,
    refusing,
)
from linkerd2_py.proxy.discovery.policy_follower import INVALID
from linkerd2_py.proxy.discovery.way_targets import Aim, WayTargets
from linkerd2_py.proxy.discovery.ways import HERE, Balanced, Refused, Way

logger = logging.getLogger(__name__)

_OUTSIDE: Final = "EgressNetwork"
"""What says who may go outside: no profile goes before it."""


class Steering:
    """Of one target. `go` is called with the way that the target's own endpoints are to be, each time that a
    policy begins to hold.
    """

    def __init__(
        self,
        subject: SocketAddr | Authority,
        *,
        installation: Installation,
        lookups: Lookups,
        go: Callable[[Way | None], None],
    ) -> None:
        self._subject = subject
        self._installation = installation
        self._lookups = lookups
        self._go = go
        self._ways = WayTargets(installation.target, lookups=lookups)
        self._compiling: asyncio.Task[None] | None = None

    def follow(self, policy: ClientPolicy, *, own: Way | None, opaque: bool) -> None:
        """From now on, or once its routes are compiled. `own`: the way to the target's own endpoints;
        `opaque`: nothing is parsed.
        """
        self.stop()
        self._ways.parent = policy.parent
        if opaque or policy.routes is None:
            self._install(policy, self._of_requests(policy, own), own=own, opaque=opaque)
            return
        compiling = self._compile(policy, policy.routes, own=own)
        self._compiling = spawn(compiling, name=f"routes {self._subject}")

    @property
    def is_settled(self) -> bool:
        """Whether what is followed holds already."""
        return self._compiling is None

    def stop(self) -> None:
        """What is being compiled is not installed any more. Idempotent."""
        if self._compiling is not None:
            self._compiling.cancel()
            self._compiling = None

    def close(self) -> None:
        """Nothing follows a policy any more. Idempotent."""
        self.stop()
        self._installation.install_routes(None)
        self._installation.install_connections(None)
        self._ways.close()

    async def _compile(self, policy: ClientPolicy, routes: HttpRoutes, *, own: Way | None) -> None:
        plans = RulePlans(
            target_of=lambda way: self._target(way, own), registry=self._lookups.registry
        )
        try:
            table = await compile_table(routes, plan_of=plans.plan)
        except ValueError as error:
            logger.warning("%s: invalid policy, all is refused: %s", self._subject, error)
            self._install(ClientPolicy(INVALID, None), None, own=INVALID, opaque=False)
        else:
            self._install(policy, table, own=own, opaque=False)

    def _install(
        self, policy: ClientPolicy, table: RouteTable | None, *, own: Way | None, opaque: bool
    ) -> None:
        """The routes first, for whoever has waited for them asks at once."""
        self._compiling = None
        rules_outside = policy.parent is not None and policy.parent.kind == _OUTSIDE
        aims = set(self._aims(policy, own=own, requests=table is not None))
        self._installation.install_routes(table, first=rules_outside)
        self._installation.install_connections(self._of_connections(policy, own))
        self._installation.belong(policy.parent, protocol=policy.protocol)
        self._installation.configure(
            opaque=opaque,
            http=not opaque and policy.opaque is None,
            logical=str(own.name) if isinstance(own, Balanced) else "",
            detect_timeout_s=policy.detect_timeout_s,
        )
        accrual = None if opaque else policy.accrual
        self._installation.guard(accrual)
        self._ways.guard(accrual)
        self._go(own)
        self._ways.keep(aims)

    def _of_requests(self, policy: ClientPolicy, own: Way | None) -> RouteTable | None:
        """Where only connections have routes, those of opaque bytes are those of requests, too: what a client
        of an HTTP proxy asks for gets no further than what it connects to.
        """
        rules = policy.connections
        if rules is None or policy.routes is not None:
            return None
        if rules.by_name:
            return RouteTable(otherwise=refusing(NO_ROUTE))
        ways = [each for rule in rules.rules for each in rule.ways]
        if len(ways) < 2:
            return None
        split = Split([self._engine_way(way, weight, own) for way, weight in ways])
        return RouteTable(otherwise=Plan(ways=split))

    def _engine_way(self, way: Way, weight: int, own: Way | None) -> EngineWay:
        if isinstance(way, Refused):
            return EngineWay(weight=weight, refusal=Refusal(way.status, way.text))
        return EngineWay(self._target(way, own), weight=weight)

    def _of_connections(self, policy: ClientPolicy, own: Way | None) -> ConnectionRoutes | None:
        rules = policy.connections
        if rules is None:
            return None
        carries = _bytes(policy)
        plans = ConnectionPlans(
            target_of=lambda way: self._target(way, own, carries=carries),
            key=self._installation.target.key,
            registry=self._lookups.registry,
        )
        return plans.routes(rules)

    def _target(self, way: Way, own: Way | None, *, carries: str = "") -> Target | None:
        if way in {own, HERE} or isinstance(way, Refused):
            return None
        return self._ways.target(Aim(way, carries))

    def _aims(self, policy: ClientPolicy, *, own: Way | None, requests: bool) -> Iterator[Aim]:
        """Where routes lead, but for the target itself."""
        if policy.connections is not None:
            carries = _bytes(policy)
            ways = policy.connections.leads_to() - {own, HERE}
            yield from (Aim(way, carries) for way in ways)
            if requests and policy.routes is None and not policy.connections.by_name:
                yield from map(Aim, ways)
        if requests and policy.routes is not None:
            yield from map(Aim, leads_to(policy.routes) - {own, HERE})


def _bytes(policy: ClientPolicy) -> str:
    """What is carried, as metrics have it."""
    return "tls" if policy.connections is not None and policy.connections.by_name else "opaq"
