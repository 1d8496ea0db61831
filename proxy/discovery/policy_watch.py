"""The watches of a target that the policy API is asked about: its policy and its profile at once, then the
endpoints that the policy leads to.

Nothing goes anywhere before the policy is known. Where there is none for the target (or none for any), the
target is followed as without a policy controller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.discovery.client_policy import ClientPolicy
from linkerd2_py.proxy.discovery.followers import NamedEndpoints, ProfileFollower
from linkerd2_py.proxy.discovery.installation import Installation
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.messages import Change, Emptied, Profile
from linkerd2_py.proxy.discovery.name_watch import NameInstead
from linkerd2_py.proxy.discovery.policy_follower import NOT_HAD, PolicyFollower
from linkerd2_py.proxy.discovery.steering import Steering
from linkerd2_py.proxy.discovery.ways import Balanced, Direct, Refused, Way
from linkerd2_py.proxy.policy.api import UNKNOWN, PolicyApi

logger = logging.getLogger(__name__)

_OURS_AFTER_S: Final = 1.0
"""How long the control plane may say nothing of a completed name's endpoints, as Linkerd's does where a
service has none, before the name is taken for what the policy is of."""


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
        self._steering = Steering(subject, installation=installation, lookups=lookups, go=self._go)
        self._is_ours = False
        self._timer: asyncio.TimerHandle | None = None
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
        self._steering.close()

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
            self._stand_in(self._spelled)
            return
        if self._spelled is not None:
            self._be_ours()
        self._installation.apply(change)

    def on_failed(self) -> None:
        """The last known endpoints stay. Where there never were any, the name may be somebody else's."""
        if self._spelled is not None and not self._answered:
            self._stand_in(self._spelled)

    def on_rejected(self, _code: Code) -> None:
        """Nobody to balance among: the target is used as it is."""
        if isinstance(self._subject, SocketAddr):
            self._installation.forward(self._lookups.at(self._subject))
        elif self._spelled is not None:
            self._stand_in(self._spelled)
        else:
            self._installation.reject(502, text="the endpoints cannot be had")

    def _stand_in(self, spelled: Authority) -> None:
        """The name is looked for outside the mesh, and follows the policies of its addresses."""
        self._steering.stop()
        self._dns.start(spelled)

    # What follows from them.

    def _settle(self) -> None:
        policy = self._policy
        if policy is None or self._opaque is None or self._dns.stands_in:
            return
        opaque = self._is_opaque(policy, forced=self._opaque)
        own = policy.opaque or policy.http
        if not opaque and policy.routes is not None:
            own = _unrouted(policy)
        if self._spelled is not None and not self._is_ours and isinstance(own, Balanced):
            # Routes would be held against what is outside the mesh, if it turns out to be there.
            self._endpoints.follow(own.name)
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(_OURS_AFTER_S, self._on_silence)
            return
        self._steering.follow(policy, own=own, opaque=opaque)

    def _on_silence(self) -> None:
        if not self._dns.stands_in:
            self._be_ours()

    def _be_ours(self) -> None:
        """The name is one of the mesh, or nobody says that it is not."""
        if self._dns.stop():
            # Until its own routes hold again.
            self._installation.target.await_routes()
            self._is_ours = False
        if not self._is_ours:
            self._is_ours = True
            self._settle()

    def _is_opaque(self, policy: ClientPolicy, *, forced: bool) -> bool:
        return policy.http is None or forced or self._subject.port in self._lookups.opaque_ports

    def _go(self, way: Way | None) -> None:
        match way:
            case Balanced(name, _):
                self._endpoints.follow(name)
            case Direct(endpoint):
                self._endpoints.follow(None)
                self._installation.forward(endpoint)
            case Refused(status, text):
                self._endpoints.follow(None)
                self._installation.reject(status, text=text)

    def _close_streams(self) -> None:
        self._steering.stop()
        if self._timer is not None:
            self._timer.cancel()
        self._dns.stop()
        self._endpoints.follow(None)
        if self._profile is not None:
            self._profile.close()


def _is_open(way: Way | None) -> bool:
    return way is not None and not isinstance(way, Refused)


def _unrouted(policy: ClientPolicy) -> Way | None:
    """Where all goes that follows no route: what is no HTTP, or requests that a profile's routes mean."""
    return policy.opaque if _is_open(policy.opaque) else policy.own or policy.http
