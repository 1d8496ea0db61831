"""The rules of `routes` and `split` of a service in a mesh.yaml: which of its requests go where, and what
becomes of them on the way. Each is a route of Gateway API.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from linkerd2_py.controlplane.mesh.objects import PortSpec
from linkerd2_py.controlplane.mesh.routes import (
    CORE,
    Backend,
    GRPCRoute,
    GRPCRule,
    HTTPRoute,
    HTTPRule,
    Route,
    Rule,
    TCPRoute,
)
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.sources.local import filter_rules, limit_rules
from linkerd2_py.controlplane.sources.local.filter_rules import FilterRules, host_sound
from linkerd2_py.controlplane.sources.local.limit_rules import LimitRules
from linkerd2_py.controlplane.sources.local.match_rules import EVERYTHING, MatchRules
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.names import NameRules
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

_ROUTE: Final = (
    "name",
    "match",
    "hosts",
    "port",
    "to",
    *limit_rules.OF_ROUTES,
    *filter_rules.OF_REQUESTS,
)
_BACKEND: Final = ("weight", *filter_rules.OF_BACKENDS)
_MOST_WEIGHT: Final = 1_000_000
_MOST_ROUTES: Final = 1000
_EVERY_PORT: Final = 0


class RouteRules:
    """Of all services, which have been read: routes lead to them. Of those that are `named` some could not
    be. What cannot be used is noted in the reader.
    """

    def __init__(
        self,
        reader: NodeReader,
        *,
        namespace: str,
        services: Mapping[str, ServiceSpec],
        named: Collection[str],
        names: NameRules,
    ) -> None:
        self._reader = reader
        self._namespace = namespace
        self._services = services
        self._named = named
        self._names = names
        self._match = MatchRules(reader)
        self._filters = FilterRules(reader)
        self._limits = LimitRules(reader)

    def has_grpc(self, entries: dict[str, Spot]) -> bool:
        """Whether one of the routes of a service is of gRPC: then all must be."""
        if "routes" not in entries:
            return False
        return any(self._is_grpc(each) for each in self._reader.one_or_more(entries["routes"]))

    def routes(self, service: ServiceSpec, entries: dict[str, Spot]) -> tuple[Route, ...]:
        """Those of a service, of equal ones the first goes first."""
        said = [entries[name] for name in ("routes", "split") if name in entries]
        if not said or not self._takes_routes(service, spots=said):
            return ()
        if all(port.opaque for port in service.ports):
            return tuple(self._of_bytes(service, entries))
        grpc = self.has_grpc(entries)
        found = list(self._listed(service, entries, grpc=grpc))
        if "split" in entries:
            name = self._names.of_route(f"{service.name}-split", spot=entries["split"])
            fields = {"to": entries["split"]}
            found.append(self._route(service, fields, name=name, age=len(found), grpc=grpc))
        return tuple(found)

    def _takes_routes(self, service: ServiceSpec, *, spots: list[Spot]) -> bool:
        if not service.headless:
            return True
        reason = "clients of a headless service go to its pods themselves: it has no routes"
        for spot in spots:
            self._reader.refuse(spot, reason=reason)
        return False

    def _of_bytes(self, service: ServiceSpec, entries: dict[str, Spot]) -> Iterator[Route]:
        """Connections are spread, and nothing else."""
        if "routes" in entries:
            reason = "bytes that are opaque cannot be told apart: only a split is for them"
            self._reader.refuse(entries["routes"], reason=reason)
        if "split" not in entries:
            return
        spot = entries["split"]
        backends = tuple(self._backends(spot, grpc=False))
        if any(one.filters for one in backends):
            self._reader.refuse(spot, reason="of bytes that are opaque nothing can be changed")
        yield TCPRoute(
            namespace=self._namespace,
            name=self._names.of_route(f"{service.name}-split", spot=spot),
            parents=(Parent(CORE, "Service", self._namespace, service.name, _EVERY_PORT),),
            rules=(Rule(backends),),
        )

    def _listed(
        self, service: ServiceSpec, entries: dict[str, Spot], *, grpc: bool
    ) -> Iterator[Route]:
        if "routes" not in entries:
            return
        spots = self._reader.items(entries["routes"]) or []
        if len(spots) > _MOST_ROUTES:
            self._reader.refuse(entries["routes"], reason=f"has more than {_MOST_ROUTES} routes")
        for age, spot in enumerate(spots[:_MOST_ROUTES]):
            fields = self._reader.fields(spot, allowed=_ROUTE)
            if fields is None:
                continue
            if grpc and not self._is_grpc(spot):
                reason = (
                    "is of HTTP, and other routes here are of gRPC, which go before it everywhere:"
                    " match calls by path: /SERVICE/METHOD, or all by grpc"
                )
                self._reader.refuse(spot, reason=reason)
                continue
            name = self._names.given_route(fields, default=f"{service.name}-{age + 1}", spot=spot)
            yield self._route(service, fields, name=name, age=age, grpc=grpc)

    def _is_grpc(self, spot: Spot) -> bool:
        match = self._reader.peek(spot, "match")
        return match is not None and self._match.is_grpc(match)

    def _route(
        self,
        service: ServiceSpec,
        fields: dict[str, Spot],
        *,
        name: str,
        age: int,
        grpc: bool,
    ) -> Route:
        backends = tuple(self._backends(fields["to"], grpc=grpc)) if "to" in fields else ()
        filters = self._filters.filters(fields, grpc=grpc)
        parent = Parent(CORE, "Service", self._namespace, service.name, self._port(service, fields))
        hosts = tuple(self._hosts(fields["hosts"])) if "hosts" in fields else ()
        annotations = self._limits.annotations(fields, http=not grpc, grpc=grpc, of_route=True)
        if grpc:
            calls = self._match.grpc(fields["match"]) if "match" in fields else ()
            return GRPCRoute(
                namespace=self._namespace,
                name=name,
                parents=(parent,),
                hostnames=hosts,
                created=float(age),
                annotations=annotations,
                rules=(GRPCRule(backends, calls or (), filters),),
            )
        requests = self._match.http(fields["match"]) if "match" in fields else EVERYTHING
        self._filters.check_beginnings(fields, requests or EVERYTHING)
        return HTTPRoute(
            namespace=self._namespace,
            name=name,
            parents=(parent,),
            hostnames=hosts,
            created=float(age),
            annotations=annotations,
            rules=(HTTPRule(backends, requests or EVERYTHING, filters),),
        )

    # which requests, beside `match`

    def _port(self, service: ServiceSpec, fields: dict[str, Spot]) -> int:
        if "port" not in fields:
            return _EVERY_PORT
        spot = fields["port"]
        number = self._reader.whole(spot, least=1, most=65535)
        port = next((one for one in service.ports if one.port == number), None)
        if number is not None and port is None:
            known = ", ".join(str(one.port) for one in service.ports)
            reason = f"service {service.name} has no port {number}; it has: {known}"
            self._reader.refuse(spot, reason=reason)
        elif port is not None and port.opaque:
            self._reader.refuse(spot, reason=f"port {number} is opaque: its bytes follow no route")
        return number or _EVERY_PORT

    def _hosts(self, spot: Spot) -> Iterator[str]:
        for each in self._reader.items(spot) or ():
            text = self._reader.text(each)
            if text is None:
                continue
            if host_sound(text.removeprefix("*.")) and text == text.lower():
                yield text
            else:
                reason = (
                    "must be a host name in small letters, *. before it for all that end so,"
                    f" not {text[:40]!r}"
                )
                self._reader.refuse(each, reason=reason)

    # where to

    def _backends(self, spot: Spot, *, grpc: bool) -> Iterator[Backend]:
        """One service, or several by weight."""
        if not self._reader.is_mapping(spot):
            text = self._reader.text(spot)
            if text is not None:
                yield from self._backend(text, spot=spot)
            return
        entries = self._reader.mapping(spot) or {}
        if not entries:
            self._reader.refuse(spot, reason="must name a service")
        found = [
            backend
            for name, each in entries.items()
            for backend in self._weighted(name, each, grpc=grpc)
        ]
        weightless = len(found) == len(entries) and not any(one.weight for one in found)
        if found and weightless:
            self._reader.refuse(spot, reason="all weights are 0: nothing would be sent anywhere")
        yield from found

    def _weighted(self, name: str, spot: Spot, *, grpc: bool) -> Iterator[Backend]:
        fields = {"weight": spot}
        if self._reader.is_mapping(spot):
            fields = self._reader.fields(spot, allowed=_BACKEND) or {}
        if "weight" not in fields:
            self._reader.refuse(spot.below("weight", node=spot.node), reason="is missing")
            return
        weight = self._reader.whole(fields["weight"], least=0, most=_MOST_WEIGHT)
        filters = self._filters.filters(fields, grpc=grpc)
        if weight is None:
            return
        for one in self._backend(name, spot=spot):
            yield Backend(one.group, one.kind, one.namespace, one.name, one.port, weight, filters)

    def _backend(self, text: str, *, spot: Spot) -> Iterator[Backend]:
        name, colon, number = text.partition(":")
        service = self._services.get(name)
        if service is None and name in self._named:
            return  # Its own problem is noted already.
        if service is None:
            known = ", ".join(self._named) or "none"
            self._reader.refuse(
                spot, reason=f"there is no service {name[:80]!r}; there are: {known}"
            )
            return
        port = _port_of(service, number) if colon else service.ports[0]
        if port is None:
            known = ", ".join(str(one.port) for one in service.ports)
            reason = f"service {name} has no port {number[:20]!r}; it has: {known}"
            self._reader.refuse(spot, reason=reason)
            return
        yield Backend(CORE, "Service", self._namespace, name, port.port)


def _port_of(service: ServiceSpec, number: str) -> PortSpec | None:
    return next((one for one in service.ports if str(one.port) == number), None)
