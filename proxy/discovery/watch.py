"""The watches of one target: a name of the mesh, an address inside it, a name in DNS, or nothing at all.

Each begins when the target becomes known and is closed when nobody has used the target for a while.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, Protocol

from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proxy.addresses import Authority, SocketAddr, is_loopback, split_zone
from linkerd2_py.proxy.discovery.decision import (
    ByAddress,
    ByDns,
    ByService,
    Decision,
    Forwarded,
    Rejected,
)
from linkerd2_py.proxy.discovery.followers import EndpointsFollower, NamedEndpoints, ProfileFollower
from linkerd2_py.proxy.discovery.installation import Installation
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.messages import (
    NO_PROFILE,
    Change,
    Emptied,
    Endpoint,
    EndpointSet,
    Profile,
)
from linkerd2_py.proxy.discovery.name_watch import NameInstead, NameWatch
from linkerd2_py.proxy.discovery.object_ref import ObjectRef, object_ref
from linkerd2_py.proxy.discovery.policy_watch import PolicyWatch

_SPELLED_WAIT_S: Final = 1.0
"""How long a completed name may go without an answer before it is also looked for as it was spelled:
well inside the fail-fast period of 3 s, so that names outside the mesh survive a control plane that is
away."""


class Watch(Protocol):
    """Keeps one target up to date until closed."""

    def close(self) -> None:
        """Stop asking. Idempotent."""


def start(target: Target, *, decision: Decision, lookups: Lookups) -> Watch | None:
    """Begin to follow `target` in the way that was decided; None when there is nothing to follow."""
    installation = lookups.installation(target)
    asked = _asked(decision)
    if lookups.policies is None or asked is None:
        return _follow(decision, installation=installation, lookups=lookups)
    with_profile = isinstance(decision, ByAddress) or (
        isinstance(decision, ByService) and decision.with_profile
    )
    return PolicyWatch(
        asked,
        api=lookups.policies,
        installation=installation,
        lookups=lookups,
        with_profile=with_profile,
        spelled=decision.spelled if isinstance(decision, ByService) else None,
        otherwise=partial(_follow, decision, installation=installation, lookups=lookups),
    )


def _asked(decision: Decision) -> SocketAddr | Authority | None:
    """What the policy API is asked about: names of the mesh, and addresses that are not of this machine or of
    its link alone.
    """
    match decision:
        case ByService(name):
            return name
        case ByAddress(address) | Forwarded(address):
            own = is_loopback(address.host) or split_zone(address.host)[1]
            return None if own else address
        case _:
            return None


def _follow(decision: Decision, *, installation: Installation, lookups: Lookups) -> Watch | None:
    """As the destination API says, or DNS, or nobody."""
    match decision:
        case Rejected(status, text):
            installation.reject(status, text=text)
            return None
        case Forwarded(address):
            installation.configure(opaque=address.port in lookups.opaque_ports)
            installation.forward(lookups.at(address))
            return None
        case ByDns(name):
            return NameWatch(name, installation=installation, lookups=lookups)
        case ByService():
            return ServiceWatch(decision, installation=installation, lookups=lookups)
        case ByAddress(address):
            return AddressWatch(address, installation=installation, lookups=lookups)


def _parent(profile: Profile) -> ObjectRef | None:
    return None if profile.parent is None else object_ref(profile.parent)


class ServiceWatch:
    """`Get` and `GetProfile` of one name at once; DNS too for a completed name the mesh does not know."""

    def __init__(self, service: ByService, *, installation: Installation, lookups: Lookups) -> None:
        self._service = service
        self._installation = installation
        self._lookups = lookups
        self._dns = NameInstead(installation=installation, lookups=lookups)
        self._set = EndpointSet(on_skipped=lookups.on_skipped)
        self._profile = self._follow_profile()
        self._get = lookups.get(service.name, follower=EndpointsFollower(self._set, watch=self))
        self._timer = asyncio.get_running_loop().call_later(_SPELLED_WAIT_S, self.on_failed)

    def close(self) -> None:
        self._get.cancel()
        if self._profile is not None:
            self._profile.close()
        self._timer.cancel()
        self._dns.stop()
        self._installation.close()

    def on_profile(self, profile: Profile) -> None:
        name = Authority(profile.name, self._service.name.port) if profile.name else None
        opaque = profile.opaque or self._service.name.port in self._lookups.opaque_ports
        self._installation.belong(_parent(profile))
        self._installation.configure(opaque=opaque, logical=str(name or self._service.name))
        self._installation.follow_routes(profile, name=name or self._service.name)

    def on_no_profile(self) -> None:
        if not self._installation.configured:
            opaque = self._service.name.port in self._lookups.opaque_ports
            self._installation.configure(opaque=opaque, logical=str(self._service.name))

    def on_change(self, change: Change) -> None:
        if isinstance(change, Emptied) and not change.exists and self._service.spelled:
            self._dns.start(self._service.spelled)
            return
        self._dns.stop()
        self._installation.apply(change)

    def on_failed(self) -> None:
        """No answer yet, from a control plane that may be away."""
        if self._service.spelled and not self._set.answered:
            self._dns.start(self._service.spelled)

    def on_rejected(self, code: Code) -> None:
        """Not the control plane's business: the name is looked for as it was spelled."""
        self._dns.start(self._service.spelled or self._service.name)

    def _follow_profile(self) -> ProfileFollower | None:
        if self._service.with_profile:
            return ProfileFollower(self._service.name, watch=self, lookups=self._lookups)
        self.on_no_profile()
        return None


class AddressWatch:
    """`GetProfile` of an address: it is one known pod, stands for a service, or is only an address."""

    def __init__(
        self, address: SocketAddr, *, installation: Installation, lookups: Lookups
    ) -> None:
        self._address = address
        self._installation = installation
        self._lookups = lookups
        self._endpoints = NamedEndpoints(watch=self, lookups=lookups)
        self._profile = ProfileFollower(address, watch=self, lookups=lookups)

    def close(self) -> None:
        self._profile.close()
        self._endpoints.follow(None)
        self._installation.close()

    def on_profile(self, profile: Profile) -> None:
        opaque = profile.opaque or self._address.port in self._lookups.opaque_ports
        self._installation.belong(_parent(profile))
        if profile.endpoint is not None:
            self._forward(profile.endpoint, opaque=opaque)
        elif profile.name:
            name = Authority(profile.name, self._address.port)
            self._installation.configure(opaque=opaque, logical=str(name))
            self._installation.follow_routes(profile, name=name)
            self._endpoints.follow(name)
        else:
            self._forward(Endpoint(self._address), opaque=opaque)

    def on_no_profile(self) -> None:
        """It does not hold up the workload: the address is used as it is until an answer comes."""
        if not self._installation.configured:
            opaque = self._address.port in self._lookups.opaque_ports
            self._forward(Endpoint(self._address), opaque=opaque)

    def on_change(self, change: Change) -> None:
        self._installation.apply(change)

    def on_failed(self) -> None:
        """The last known endpoints stay."""

    def on_rejected(self, code: Code) -> None:
        self._installation.forward(Endpoint(self._address))

    def _forward(self, endpoint: Endpoint, *, opaque: bool) -> None:
        self._endpoints.follow(None)
        self._installation.configure(opaque=opaque)
        self._installation.follow_routes(NO_PROFILE, name=Authority(*self._address))
        self._installation.forward(endpoint)
