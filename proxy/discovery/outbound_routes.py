"""What outbound policy says of requests, as values: rules with their conditions, in the order in which they
are looked at.
"""

from __future__ import annotations

from typing import NamedTuple

from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.discovery.object_ref import ObjectRef
from linkerd2_py.proxy.discovery.tries import ONCE, Tries
from linkerd2_py.proxy.discovery.ways import Way, here
from linkerd2_py.proxy.filters import NO_FILTERS, Filters
from linkerd2_py.proxy.matches import Step


class Destination(NamedTuple):
    """One of the backends of a rule."""

    way: Way
    weight: int
    backend: ObjectRef
    filters: Filters = NO_FILTERS


class Rule(NamedTuple):
    """What becomes of the requests that it means."""

    route: ObjectRef
    destinations: tuple[Destination, ...]
    filters: Filters = NO_FILTERS
    tries: Tries = ONCE

    @property
    def replaces_beginning(self) -> bool:
        """Whether requests of different conditions are treated differently."""
        both = (self.filters, *(one.filters for one in self.destinations))
        return any(one.replaces_beginning for one in both)

    def at(self, beginning: int | None) -> Rule:
        """For the requests of a condition that means such a beginning (`Filters.at`)."""
        if not self.replaces_beginning:
            return self
        destinations = (
            one._replace(filters=one.filters.at(beginning)) for one in self.destinations
        )
        return self._replace(filters=self.filters.at(beginning), destinations=tuple(destinations))

    def from_address(self, address: SocketAddr) -> Rule:
        """The same for any address: this one is HERE."""
        found = (one._replace(way=here(one.way, address)) for one in self.destinations)
        return self._replace(destinations=tuple(found))


class Routes(NamedTuple):
    """`steps` in the order in which they are tried; a request that none of them means has no route."""

    parent: ObjectRef
    rules: tuple[Rule, ...]
    steps: tuple[Step, ...]
    grpc: bool = False

    def from_address(self, address: SocketAddr) -> Routes:
        """The same for any address: this one is HERE."""
        return self._replace(rules=tuple(one.from_address(address) for one in self.rules))


class HttpRoutes(NamedTuple):
    """Of a target: those of HTTP/1, and those of HTTP/2 where they are others."""

    routes: Routes
    of_http2: Routes | None = None

    def at(self, address: SocketAddr) -> HttpRoutes:
        """The same for any address that has them: this one is HERE."""
        more = self.of_http2
        return HttpRoutes(
            self.routes.from_address(address), None if more is None else more.from_address(address)
        )
