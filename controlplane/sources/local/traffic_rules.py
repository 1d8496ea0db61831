"""The rules of what a service of a mesh.yaml says of its requests: where they go, how long they may take, and
who may make them.

All of it becomes the objects and annotations by which a cluster has the same said, so that nobody above
needs to know which it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from linkerd2_py.controlplane.mesh.objects import MeshObject
from linkerd2_py.controlplane.sources.local import limit_rules
from linkerd2_py.controlplane.sources.local.authorizer_rules import AuthorizerRules
from linkerd2_py.controlplane.sources.local.limit_rules import LimitRules
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec, WorkloadSpec
from linkerd2_py.controlplane.sources.local.names import NameRules
from linkerd2_py.controlplane.sources.local.policy_rules import PolicyRules
from linkerd2_py.controlplane.sources.local.route_rules import RouteRules
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

OF_SERVICES: Final = ("routes", "split", *limit_rules.OF_SERVICES, "policy")
"""Fields of a service."""
_OF_REQUESTS: Final = ("routes", "split", *limit_rules.OF_ROUTES)
"""What the routes of a profile would go before."""


class TrafficRules:
    """Of all services and workloads, which have been read. What cannot be used is noted in the reader."""

    def __init__(
        self,
        reader: NodeReader,
        *,
        namespace: str,
        services: Mapping[str, ServiceSpec],
        named: Collection[str],
        workloads: Mapping[str, WorkloadSpec],
        profiled: Collection[str],
    ) -> None:
        self._reader = reader
        self._services = services
        self._profiled = profiled
        names = NameRules(reader)
        self._limits = LimitRules(reader)
        self._routes = RouteRules(
            reader, namespace=namespace, services=services, named=named, names=names
        )
        self._policies = PolicyRules(
            reader,
            namespace=namespace,
            workloads=workloads,
            names=names,
            authorizers=AuthorizerRules(
                reader, namespace=namespace, services=services, named=named
            ),
        )

    def said(
        self, entries: Mapping[str, dict[str, Spot]]
    ) -> tuple[dict[str, ServiceSpec], tuple[MeshObject, ...]]:
        """The services with what holds for all their requests, and the objects that say the rest."""
        services: dict[str, ServiceSpec] = {}
        objects: list[MeshObject] = []
        for name, service in self._services.items():
            fields = entries.get(name, {})
            self._refuse_profiled(name, fields)
            grpc = self._routes.has_grpc(fields)
            limits = self._limits.annotations(fields, http=not grpc, grpc=grpc)
            services[name] = replace(service, annotations=limits)
            objects += self._routes.routes(service, fields)
            if "policy" in fields:
                objects += self._policies.objects(service, fields["policy"])
        return services, tuple(objects)

    def _refuse_profiled(self, name: str, fields: dict[str, Spot]) -> None:
        """Who asks for a route gets it: the routes of a profile go before all others, as in Linkerd."""
        if name not in self._profiled:
            return
        for word in _OF_REQUESTS:
            if word in fields:
                reason = f"profiles.{name} goes before it: say all of it there, or all of it here"
                self._reader.refuse(fields[word], reason=reason)
