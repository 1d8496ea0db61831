"""Policies that our controller makes of rules of an HTTPRoute, as they are written for Kubernetes."""

from dataclasses import replace
from typing import Any

from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.kubernetes.routes import read_gateway_http_route
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.support.outbound_shop import at, policy, service


def of_rules(*rules: dict[str, Any], rewrites: bool = True) -> outbound.OutboundPolicy:
    """Of the service web in shop, beside which there is v2; clients are of another namespace, and their
    proxies do what `rewrites` say, or not.
    """
    parent = {"group": "", "kind": "Service", "name": "web", "port": 80}
    route = {
        "metadata": {"name": "route", "namespace": "shop"},
        "spec": {"parentRefs": [parent], "rules": list(rules)},
    }
    store = MeshStore()
    store.put(service(), service("v2", ips=("10.96.0.11",)), read_gateway_http_route(route))
    return policy(store, replace(at(), rewrites=rewrites))
