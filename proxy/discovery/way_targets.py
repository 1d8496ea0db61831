"""The targets that routes of one target lead to, each followed while some route does."""

from __future__ import annotations

from typing import NamedTuple

from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proxy.discovery.failure_accrual import FailureAccrual
from linkerd2_py.proxy.discovery.followers import NamedEndpoints
from linkerd2_py.proxy.discovery.installation import Installation
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.messages import Change, Profile
from linkerd2_py.proxy.discovery.object_ref import ObjectRef
from linkerd2_py.proxy.discovery.ways import Balanced, Direct


class Aim(NamedTuple):
    """Where a way leads, and what goes there: requests, or where it is not empty, bytes of this protocol."""

    way: Balanced | Direct
    carries: str = ""


class WayTargets:
    """Beside `parent`, which traffic is addressed to."""

    def __init__(self, parent: Target, *, lookups: Lookups) -> None:
        self._target = parent
        self.parent: ObjectRef | None = None
        """What metrics call it."""
        self._lookups = lookups
        self._followed: dict[Aim, _Followed] = {}

    def target(self, aim: Aim) -> Target:
        """The one that leads there; from now on it is followed."""
        found = self._followed.get(aim)
        if found is None:
            found = self._followed[aim] = _Followed(
                aim, self._target, belongs_to=self.parent, lookups=self._lookups
            )
        return found.target

    def guard(self, accrual: FailureAccrual | None) -> None:
        """When endpoints are left alone for their failures by routes that say nothing of it; None: never."""
        for aim, one in self._followed.items():
            if not aim.carries:
                one.guard(accrual)

    def keep(self, aims: set[Aim]) -> None:
        """No route leads anywhere else any more. What is on its way there gets there."""
        for gone in self._followed.keys() - aims:
            self._followed.pop(gone).close()

    def close(self) -> None:
        """No route leads anywhere any more. Idempotent."""
        self.keep(set())


class _Followed:
    """One of them."""

    def __init__(
        self,
        aim: Aim,
        parent: Target,
        *,
        belongs_to: ObjectRef | None,
        lookups: Lookups,
    ) -> None:
        self._belongs_to = belongs_to
        self._carries = aim.carries
        self._own_accrual = aim.way.accrual if isinstance(aim.way, Balanced) else None
        self._endpoints = NamedEndpoints(watch=self, lookups=lookups)
        way = aim.way
        if isinstance(way, Balanced):
            self.target = parent.sibling(str(way.name).encode())
            self._installation = self._configured(lookups, logical=str(way.name))
            self._endpoints.follow(way.name)
        else:
            self.target = parent.sibling(str(way.endpoint.address).encode())
            self._installation = self._configured(lookups, logical="")
            self._installation.forward(way.endpoint)

    def guard(self, accrual: FailureAccrual | None) -> None:
        self._installation.guard(self._own_accrual or accrual)

    def close(self) -> None:
        self._endpoints.follow(None)
        self._installation.close()
        self.target.retire()

    def _configured(self, lookups: Lookups, *, logical: str) -> Installation:
        """Its routes are the parent's."""
        made = lookups.installation(self.target, counts=False)
        made.belong(self._belongs_to, protocol=self._carries)
        made.configure(opaque=bool(self._carries), logical=logical)
        return made

    def on_change(self, change: Change) -> None:
        self._installation.apply(change)

    def on_rejected(self, _code: Code) -> None:
        self._installation.reject(502, text="the endpoints of the backend cannot be had")

    def on_failed(self) -> None:
        """The last known endpoints stay."""

    def on_profile(self, profile: Profile) -> None:
        """Nobody asks for one."""

    def on_no_profile(self) -> None:
        """Nobody asks for one."""
