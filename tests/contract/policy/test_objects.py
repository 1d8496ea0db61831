"""The recorded cluster on a real API server, whose kinds are those of our chart."""

from __future__ import annotations

import json

import pytest

from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.recorded import recorded_objects

# The first of them waits until the API server has started.
pytestmark = pytest.mark.timeout(300)


def test_every_recorded_field_is_known_to_the_api_server(linkerd_objects: ControlPlane) -> None:
    """What a schema does not have is dropped without a word, and would be missed much later."""
    kubectl = Kubectl(linkerd_objects.kubeconfig)
    custom = [one for one in recorded_objects() if ".linkerd.io/" in one["apiVersion"]]
    assert {one["kind"] for one in custom} >= {"Server", "ExternalWorkload", "HTTPRoute"}
    for one in custom:
        group, _, version = one["apiVersion"].partition("/")
        kind = f"{one['kind']}.{version}.{group}".lower()
        about = one["metadata"]
        words = ("get", kind, about["name"], "--output=json", f"--namespace={about['namespace']}")
        held = json.loads(kubectl(*words))
        assert not list(_missing(one["spec"], held["spec"])), f"{kind} {about['name']}"


def _missing(wanted: object, held: object) -> list[object]:
    """What was said and is not there; defaults may have been added."""
    if isinstance(wanted, dict) and isinstance(held, dict):
        lost: list[object] = [name for name in wanted if name not in held]
        kept = (name for name in wanted if name in held)
        return lost + [one for name in kept for one in _missing(wanted[name], held[name])]
    if isinstance(wanted, list) and isinstance(held, list) and len(wanted) == len(held):
        pairs = zip(wanted, held, strict=True)
        return [one for mine, theirs in pairs for one in _missing(mine, theirs)]
    return [] if wanted == held else [wanted]
