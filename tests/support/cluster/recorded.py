"""The cluster whose objects Linkerd's own controllers were asked about: the answers that they gave are
recorded beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl

RECORDED: Final = Path(__file__).resolve().parents[4] / "shared" / "contract"
MISSING: Final = "no recordings of Linkerd's controllers here"
# What others are in, or are of: it must be there first.
_FIRST: Final = ("Namespace", "ServiceAccount", "Node")

Object = dict[str, Any]


# Who owns the pods of `web` is not among the objects, but in the answers.
_OWNER: Final[Object] = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {
        "namespace": "shop",
        "name": "web-5d4f8c7b9",
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "web",
                "uid": "74d56405-cb03-4150-b8e0-1d07dc71ebf6",
                "controller": True,
            }
        ],
    },
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "example/app:1"}]},
        },
    },
}


def recorded_objects(ips: str = "clusterips-real-apiserver.json") -> list[Object]:
    """All of them as they were when the questions were asked, each service at the address that it had: that
    of a file of such.
    """
    had = json.loads((RECORDED / ips).read_text())
    found = json.loads((RECORDED / "objects.json").read_text())["items"]
    return [*(_as_recorded(one, ips=had) for one in found), deepcopy(_OWNER)]


def apply_recorded(kubectl: Kubectl) -> None:
    """Make an API server hold them. Nobody else may write there: a controller would correct what it sees."""
    install_crds(kubectl)
    objects = recorded_objects()
    kubectl.apply(*(one for one in objects if one["kind"] in _FIRST))
    kubectl.apply(*(_without_status(one) for one in objects if one["kind"] not in _FIRST))
    kubectl.apply_status(*(_only_status(one) for one in objects if "status" in one))


def _as_recorded(one: Object, *, ips: Mapping[str, str]) -> Object:
    found = deepcopy(one)
    if found["kind"] == "Service" and ips.get(found["metadata"]["name"]):
        found["spec"]["clusterIP"] = ips[found["metadata"]["name"]]
    if found["kind"] == "MeshTLSAuthentication":
        # Only one of the two can be said to an API server, and the answers are those for the names.
        found["spec"].pop("identityRefs")
    return found


def _without_status(one: Object) -> Object:
    return {name: value for name, value in one.items() if name != "status"}


def _only_status(one: Object) -> Object:
    about = {name: one["metadata"][name] for name in ("name", "namespace")}
    return {**{name: one[name] for name in ("apiVersion", "kind", "status")}, "metadata": about}
