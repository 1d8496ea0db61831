"""Where statuses are written is where the objects are read."""

from __future__ import annotations

import pytest

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.routes import ROUTES, RouteKey
from linkerd2_py.controlplane.mesh.store import Kind
from linkerd2_py.controlplane.policy.status.kinds import STATUSES, Subject
from linkerd2_py.controlplane.sources.kubernetes.reflector import Resource
from linkerd2_py.controlplane.sources.kubernetes.source import DIRECT

READ = [(kind, resource) for kind in STATUSES for resource in DIRECT[kind]]


@pytest.mark.parametrize(("kind", "resource"), READ, ids=str)
def test_paths(kind: Kind, resource: Resource) -> None:
    key = (
        RouteKey(resource.group, kind.__name__, "shop", "web")
        if kind in ROUTES
        else Key("shop", "web")
    )
    collection = resource.path.replace(resource.plural, f"namespaces/shop/{resource.plural}")
    assert Subject(kind, key).path == f"{collection}/web"
