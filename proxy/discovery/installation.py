"""One target of the engine, told what discovery found: first how it is treated, then where it is.

Endpoints wait here until the profile is known (or given up), because the engine opens connections in the
manner the profile asks for. Addresses that lead back to this proxy are left out; when nothing else is
left the target answers 502 instead of going round in circles.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.connections import ConnectionRoutes
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.endpoint_spec import DISABLED, LOOPBACK, EndpointSpec
from linkerd2_py._ext.route.target import Target
from linkerd2_py.proxy.addresses import Authority, SocketAddr, pack_ip
from linkerd2_py.proxy.discovery.failure_accrual import FailureAccrual
from linkerd2_py.proxy.discovery.http2 import Http2Params
from linkerd2_py.proxy.discovery.messages import (
    Added,
    Change,
    Emptied,
    Endpoint,
    Profile,
    Removed,
    Replaced,
)
from linkerd2_py.proxy.discovery.object_ref import ObjectRef, service_named
from linkerd2_py.proxy.discovery.profile_routes import ProfileRoutes
from linkerd2_py.proxy.settings import ns

logger = logging.getLogger(__name__)

_TLS: Final = "tls"

LeadsBack = Callable[[SocketAddr], bool]
Tuning = Callable[[Http2Params | None], Limits | None]
"""The limits of HTTP/2 connections; None: those of all connections of this side."""


def no_tuning(_params: Http2Params | None) -> None:
    """All connections are alike."""


class Installation:
    """What one target is now, and how it gets there."""

    def __init__(
        self,
        target: Target,
        *,
        leads_back: LeadsBack,
        own_ips: frozenset[bytes] = frozenset(),
        secures: bool = False,
        tuning: Tuning = no_tuning,
        registry: Registry | None = None,
    ) -> None:
        self.target = target
        self._secures = secures
        self._tuning = tuning
        self._own_ips = own_ips
        self.configured = False
        self._leads_back = leads_back
        self._opaque = self._policy_first = False
        self._endpoints: dict[SocketAddr, Endpoint] = {}
        self._forwarded: Endpoint | None = None
        self._parent: ObjectRef | None = None
        self._protocol = ""
        self._install: Callable[[], None] | None = None
        self._of_profile: RouteTable | None = None
        self._of_policy: RouteTable | None = None
        self._routes = (
            None
            if registry is None
            else ProfileRoutes(self._set_routes, direction="outbound", registry=registry)
        )

    def close(self) -> None:
        """What is being made of routes is not installed any more; all else stays as it is. Idempotent."""
        if self._routes is not None:
            self._routes.close()

    def follow_routes(self, profile: Profile, *, name: Authority) -> None:
        """Requests belong to its routes from now on; `name` is what they are counted for."""
        if self._routes is not None:
            self._routes.follow(profile, name=name)

    def install_routes(self, table: RouteTable | None, *, first: bool = False) -> None:
        """Those of outbound policy. Where a profile has routes, too, requests follow those, but where policy
        goes `first`.
        """
        self._of_policy, self._policy_first = table, first
        self._show_routes()

    def install_connections(self, routes: ConnectionRoutes | None) -> None:
        """Those of outbound policy, of what is not parsed."""
        self.target.connections = routes

    def _set_routes(self, table: RouteTable | None) -> None:
        self._of_profile = table
        self._show_routes()

    def _show_routes(self) -> None:
        both = (self._of_profile, self._of_policy)
        first, second = reversed(both) if self._policy_first else both
        self.target.routes = first or second

    def guard(self, accrual: FailureAccrual | None) -> None:
        """When endpoints are left alone for their failures; None: never."""
        self.target.guard(None if accrual is None else accrual.agreed())

    def belong(self, parent: ObjectRef | None, *, protocol: str = "") -> None:
        """Whose traffic it is, and the word of metrics for what is said of its protocol, from the next
        `configure` on; None: the service that its name is of.
        """
        self._parent, self._protocol = parent, protocol

    def configure(
        self,
        *,
        opaque: bool,
        http: bool = False,
        logical: str = "",
        detect_timeout_s: float = 0.0,
    ) -> None:
        """The profile is known, or it is not going to be. May be called again when it changes."""
        backend = service_named(logical)
        parent = self._parent or backend
        if not logical:
            backend = parent
        self.target.configure(
            opaque=opaque,
            http=http,
            logical=logical.encode() or None,
            detect_timeout_ns=ns(detect_timeout_s),
            owner=parent.labels("parent"),
            backend=backend.labels("backend"),
            protocol="opaq" if opaque and self._protocol != _TLS else self._protocol,
        )
        again = self.configured and opaque != self._opaque
        fresh = not self.configured
        self.configured, self._opaque = True, opaque
        if (again or fresh) and self._install is not None:
            self._install()

    def apply(self, change: Change) -> None:
        """Endpoints came, went, or are none."""
        match change:
            case Replaced(endpoints):
                self._endpoints = {one.address: one for one in endpoints}
                self._set(self._replace)
            case Added(endpoints):
                self._endpoints.update((one.address, one) for one in endpoints)
                self._set(self._replace, now=lambda: self._add(endpoints))
            case Removed(addresses):
                for address in addresses:
                    self._endpoints.pop(address, None)
                self._set(self._replace, now=lambda: self.target.remove(_plain(addresses)))
            case Emptied():
                self._endpoints = {}
                self._set(self._replace)

    def forward(self, endpoint: Endpoint) -> None:
        """This one address, without balancing. Saying so again keeps its connections."""
        if endpoint == self._forwarded:
            return
        self._endpoints = {}
        self._set(lambda: self._forward(endpoint))
        self._forwarded = endpoint

    def reject(self, status: int, *, text: str) -> None:
        """Every request is answered with `status`, until endpoints are known again."""
        self._endpoints, self._install, self._forwarded = {}, None, None
        self.target.reject(status, text)

    def _set(self, install: Callable[[], None], *, now: Callable[[], None] | None = None) -> None:
        """From here on `install` makes the target what it is; `now` is a shorter way to get there."""
        self._install, self._forwarded = install, None
        if self.configured:
            (now or install)()

    def _replace(self) -> None:
        specs = self._specs(self._endpoints.values())
        if specs or not self._endpoints:
            self.target.replace(specs)
        else:
            self._refuse()

    def _add(self, endpoints: Iterable[Endpoint]) -> None:
        specs = self._specs(endpoints)
        if specs:
            self.target.add(specs)

    def _forward(self, endpoint: Endpoint) -> None:
        if self._leads_back(endpoint.address):
            self._refuse()
            return
        self.target.forward(self._spec(endpoint))

    def _refuse(self) -> None:
        logger.warning("%s leads back to this proxy", self.target.key.decode(errors="replace"))
        self.target.reject_loop()

    def _specs(self, endpoints: Iterable[Endpoint]) -> list[EndpointSpec]:
        return [self._spec(one) for one in endpoints if not self._leads_back(one.address)]

    def _spec(self, endpoint: Endpoint) -> EndpointSpec:
        """The workload itself is reached past its proxy, which exempts its own user: it gets what a plain
        server gets.
        """
        address = _address(endpoint.address)
        if pack_ip(endpoint.address.host) in self._own_ips:
            return EndpointSpec(
                address,
                labels=endpoint.labels,
                tls=LOOPBACK,
                weight=endpoint.weight,
                near=endpoint.near,
            )
        plain = endpoint.peer is not None and not self._secures
        return EndpointSpec(
            address,
            h2=endpoint.h2,
            labels=endpoint.labels,
            tls=DISABLED if plain else None,
            peer=None if plain else endpoint.peer,
            opaque=endpoint.opaque,
            http2=self._tuning(endpoint.http2),
            pings_idle=endpoint.http2 is None or endpoint.http2.pings_idle,
            weight=endpoint.weight,
            near=endpoint.near,
        )


def _address(address: SocketAddr) -> Address:
    return Address(address.host, address.port)


def _plain(addresses: Iterable[SocketAddr]) -> list[Address]:
    return [_address(address) for address in addresses]
