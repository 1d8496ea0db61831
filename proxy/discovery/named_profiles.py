"""The profiles of the services that requests name which arrive for the workload: routes are counted at both
ends.

Names come from whoever is let in, so that only those of the mesh are asked about, and not too many at once.
"""

from __future__ import annotations

import logging
from typing import Final

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.route_table import NamedRoutes, RouteTable
from linkerd2_py.base.grpc.status import Code
from linkerd2_py.proxy.addresses import Authority
from linkerd2_py.proxy.discovery.decision import ByService, decide
from linkerd2_py.proxy.discovery.followers import ProfileFollower
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.messages import Change, Profile
from linkerd2_py.proxy.discovery.profile_routes import ProfileRoutes

logger = logging.getLogger(__name__)

NAMES_MAX: Final = 100
"""A workload is part of a few services, each with some spellings."""


class NamedProfiles:
    """Keeps `tables` up to date for the names that requests bring."""

    def __init__(self, lookups: Lookups, *, registry: Registry) -> None:
        self.tables = NamedRoutes()
        self.tables.on_unknown = self._on_unknown
        self._lookups = lookups
        self._registry = registry
        self._watches: dict[bytes, _NamedProfile] = {}

    def close(self) -> None:
        """Stop all streams. Idempotent."""
        self.tables.on_unknown = None
        for key in list(self._watches):
            self._end(key)

    async def settled(self) -> None:
        """After `close`: until no call of theirs is left in the engine."""
        await self._lookups.settled()

    def _on_unknown(self, key: bytes) -> None:
        if key in self._watches:
            return
        decision = decide(key, rules=self._lookups.rules)
        if not isinstance(decision, ByService) or not decision.with_profile:
            return
        if len(self._watches) >= NAMES_MAX and not self._make_room():
            return
        logger.debug("requests name %s: its routes are asked for", decision.name)
        self._watches[key] = _NamedProfile(
            key,
            decision.name,
            tables=self.tables,
            lookups=self._lookups,
            registry=self._registry,
        )

    def _make_room(self) -> bool:
        """Forget the name that has been without routes for longest."""
        for key, watch in self._watches.items():
            if not watch.has_routes:
                self._end(key)
                return True
        return False

    def _end(self, key: bytes) -> None:
        self._watches.pop(key).close()


class _NamedProfile:
    """Of one name, as requests spell it."""

    def __init__(
        self,
        key: bytes,
        name: Authority,
        *,
        tables: NamedRoutes,
        lookups: Lookups,
        registry: Registry,
    ) -> None:
        self._key = key
        self._name = name
        self._tables = tables
        self.has_routes = False
        self._routes = ProfileRoutes(self._install, direction="inbound", registry=registry)
        self._profile = ProfileFollower(name, watch=self, lookups=lookups)

    def close(self) -> None:
        self._profile.close()
        self._routes.close()
        self._tables.remove(self._key)

    def on_profile(self, profile: Profile) -> None:
        name = Authority(profile.name, self._name.port) if profile.name else self._name
        self._routes.follow(profile, name=name)

    def on_no_profile(self) -> None:
        """Its requests have no routes until an answer comes."""

    def on_change(self, change: Change) -> None:
        """Nobody asks for endpoints."""

    def on_failed(self) -> None:
        """The last known routes stay."""

    def on_rejected(self, code: Code) -> None:
        """Nobody asks for endpoints."""

    def _install(self, table: RouteTable | None) -> None:
        self.has_routes = table is not None
        if table is None:
            self._tables.remove(self._key)
        else:
            self._tables.install(self._key, table)
