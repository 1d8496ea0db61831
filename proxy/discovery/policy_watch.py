"""The watches of a target that the policy API is asked about: its policy and its profile at once, then the
endpoints that the policy leads to, by the routes of requests and for all that is no HTTP.

Nothing goes anywhere before the policy is known. Where there is none for the target (or none for any), the
target is followed as without a policy controller. Routes are compiled beside traffic, which follows those
of the policy before until then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.grpc.status import Code
from linkerd2_py.base.tasks import spawn
from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.discovery.client_policy import ClientPolicy
from linkerd2_py.proxy.discovery.followers import NamedEndpoints, ProfileFollower
from linkerd2_py.proxy.discovery.installation import Installation
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.messages import Change, Emptied, Profile
from linkerd2_py.proxy.discovery.name_watch import NameInstead
from linkerd2_py.proxy.discovery.outbound_routes import HttpRoutes
from linkerd2_py.proxy.discovery.outbound_tables import RulePlans, compile_table, leads_to
from linkerd2_py.proxy.discovery.policy_follower import INVALID, NOT_HAD, PolicyFollower
from linkerd2_py.proxy.discovery.way_targets import WayTargets
from linkerd2_py.proxy.discovery.ways import Balanced, Direct, Refused, Way
from linkerd2_py.proxy.policy.api import UNKNOWN, PolicyApi

logger = logging.getLogger(__name__)


class _Watch(Protocol):
    def close(self) -> None: ...


class PolicyWatch:
    """Of one target: an address, or a name of the mesh. `spelled`: the name as given where it had to be
    completed, so that it may be somebody else's after all. `otherwise` begins to follow it without a policy.
    """

    def __init__(
        self,
        subject: SocketAddr | Authority,
        *,
        api: PolicyApi,
        installation: Installation,
        lookups: Lookups,
        with_profile: bool,
        spelled: Authority | None = None,
        otherwise: Callable[[], _Watch | None],
    ) -> None:
        self._subject = subject
        self._installation = installation
        self._lookups = lookups
        self._spelled = spelled
        self._dns = NameInstead(installation=installation, lookups=lookups)
        self._answered = False
        self._otherwise = otherwise
        self._policy: ClientPolicy | None = None
        self._opaque: bool | None = None if with_profile else False
        self._endpoints = NamedEndpoints(watch=self, lookups=lookups)
        self._ways = WayTargets(installation.target, lookups=lookups)
        self._compiling: asyncio.Task[None] | None = None
        installation.target.await_routes()
        self._plain: _Watch | None = None
        self._profile = (
            ProfileFollower(subject, watch=self, lookups=lookups) if with_profile else None
        )
        self._task = PolicyFollower(subject, watch=self).start(api)

    def close(self) -> None:
        self._close_streams()
        self._task.cancel()
        if self._plain is not None:
            self._plain.close()
        self._installation.close()
        self._installation.install_routes(None)
        self._ways.close()

    # The policy.

    def on_policy(self, policy: ClientPolicy) -> None:
        if policy != self._policy:
            for line in policy.ignored:
                logger.warning("%s: %s", self._subject, line)
            self._policy = policy
            self._settle()

    def on_policy_rejected(self, code: Code) -> None:
        if code in UNKNOWN:
            self._close_streams()
            self._plain = self._otherwise()
        elif self._policy is None:
            logger.warning("%s: the policy controller says %s", self._subject, code.name)
            self._installation.reject(NOT_HAD.status, text=NOT_HAD.text)

    # The profile, which says whether this is opaque, and what requests are counted as.

    def on_profile(self, profile: Profile) -> None:
        self._opaque = profile.opaque
        if profile.name:
            name = Authority(profile.name, self._subject.port)
            self._installation.follow_routes(profile, name=name)
        self._settle()

    def on_no_profile(self) -> None:
        if self._opaque is None:
            self._opaque = False
            self._settle()

    # The endpoints.

    def on_change(self, change: Change) -> None:
        self._answered = True
        if isinstance(change, Emptied) and not change.exists and self._spelled is not None:
            # There is a policy for every name of that form, and no such service.
            self._dns.start(self._spelled)
            return
        self._dns.stop()
        self._installation.apply(change)

    def on_failed(self) -> None:
        """The last known endpoints stay. Where there never were any, the name may be somebody else's."""
        if self._spelled is not None and not self._answered:
            self._dns.start(self._spelled)

    def on_rejected(self, _code: Code) -> None:
        """Nobody to balance among: the target is used as it is."""
        if isinstance(self._subject, SocketAddr):
            self._installation.forward(self._lookups.at(self._subject))
        elif self._spelled is not None:
            self._dns.start(self._spelled)
        else:
            self._installation.reject(502, text="the endpoints cannot be had")

    # What follows from them.

    def _settle(self) -> None:
        policy = self._policy
        if policy is None or self._opaque is None:
            return
        opaque = self._is_opaque(policy, forced=self._opaque)
        if self._compiling is not None:
            self._compiling.cancel()
            self._compiling = None
        if opaque or policy.routes is None:
            self._follow(policy, None, way=policy.opaque or policy.http, opaque=opaque)
            return
        way = _unrouted(policy)
        self._ways.parent = policy.parent
        self._compiling = spawn(
            self._compile(policy, policy.routes, way=way), name=f"routes {self._subject}"
        )

    async def _compile(self, policy: ClientPolicy, routes: HttpRoutes, *, way: Way | None) -> None:
        def target_of(one: Way) -> Target | None:
            return None if one == way or isinstance(one, Refused) else self._ways.target(one)

        plans = RulePlans(target_of=target_of, registry=self._lookups.registry)
        try:
            table = await compile_table(routes, plan_of=plans.plan)
        except ValueError as error:
            logger.warning("%s: invalid policy, all is refused: %s", self._subject, error)
            self._follow(ClientPolicy(INVALID, None), None, way=INVALID, opaque=False)
        else:
            self._follow(policy, table, way=way, opaque=False)

    def _follow(
        self, policy: ClientPolicy, table: RouteTable | None, *, way: Way | None, opaque: bool
    ) -> None:
        """From now on; the routes first, for whoever has waited for them asks at once."""
        routes = policy.routes if table is not None else None
        self._installation.install_routes(table)
        self._installation.belong(policy.parent, protocol=policy.protocol)
        self._installation.configure(
            opaque=opaque,
            http=not opaque and not _is_open(policy.opaque),
            logical=str(way.name) if isinstance(way, Balanced) else "",
            detect_timeout_s=policy.detect_timeout_s,
        )
        accrual = None if opaque else policy.accrual
        self._installation.guard(accrual)
        self._ways.guard(accrual)
        self._go(way)
        self._ways.keep(set() if routes is None else leads_to(routes) - {way})

    def _is_opaque(self, policy: ClientPolicy, *, forced: bool) -> bool:
        return policy.http is None or forced or self._subject.port in self._lookups.opaque_ports

    def _go(self, way: Way | None) -> None:
        match way:
            case Balanced(name):
                self._endpoints.follow(name)
            case Direct(endpoint):
                self._endpoints.follow(None)
                self._installation.forward(endpoint)
            case Refused(status, text):
                self._endpoints.follow(None)
                self._installation.reject(status, text=text)

    def _close_streams(self) -> None:
        if self._compiling is not None:
            self._compiling.cancel()
        self._dns.stop()
        self._endpoints.follow(None)
        if self._profile is not None:
            self._profile.close()


def _is_open(way: Way | None) -> bool:
    return way is not None and not isinstance(way, Refused)


def _unrouted(policy: ClientPolicy) -> Way | None:
    """Where all goes that follows no route: what is no HTTP, or requests that a profile's routes mean."""
    return policy.opaque if _is_open(policy.opaque) else policy.own or policy.http
