"""The injector under pods that nobody would write: it refuses them by a field's name, or says by a patch exactly
what becomes of them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.values import defaults, laid_over
from linkerd2_py.controlplane.injector import names
from linkerd2_py.controlplane.injector.counted import Counted
from linkerd2_py.controlplane.injector.inject import Mesh, Owner, admit, inject_manifest
from linkerd2_py.controlplane.injector.overrides import INHERITED
from linkerd2_py.controlplane.injector.owners import Owners
from linkerd2_py.controlplane.injector.report import REASONS
from linkerd2_py.controlplane.injector.told import InjectionEvents
from linkerd2_py.controlplane.injector.uninject import uninject
from linkerd2_py.controlplane.injector.webhook import Webhook
from linkerd2_py.controlplane.injector.workload import read_workload
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json
from linkerd2_py.controlplane.policy.admission.app import UnansweredError
from linkerd2_py.controlplane.policy.admission.fields import RefusedError

MESH = Mesh(
    laid_over(
        defaults(),
        {"identityTrustAnchorsPEM": "ANCHOR", "debugContainer": {"image": {"name": "debug"}}},
    ),
    created_by="test",
)
SAID = (
    *(
        "",
        "true",
        "enabled",
        "disabled",
        "ingress",
        "1",
        "65536",
        "-1",
        "80,http,9-7",
        "1m",
        "64Mi",
    ),
    *("off", "insecure", "deny", "$(A)", '[{"name":"A","value":"b"}]', "[", "\x1b[2J"),
)
WORDS = st.sampled_from(SAID) | st.text(max_size=20)
ANNOTATIONS = st.dictionaries(
    st.sampled_from(sorted(INHERITED)) | st.text(max_size=10), WORDS, max_size=6
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


NAMESPACES = st.tuples(ANNOTATIONS, st.integers(0, 4)).map(
    lambda said: {**said[0], names.INJECT: names.ENABLED} if said[1] else said[0]
)


def rather(sound: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what it should be."""
    return st.integers(0, 60).flatmap(lambda number: JUNK if number == 60 else sound)


def some(required: Mapping[str, Any], optional: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {name: rather(one) for name, one in required.items()},
        optional={name: rather(one) for name, one in optional.items()},
    )


PORTS = st.lists(
    some(
        {"containerPort": st.integers(0, 65535)},
        {"name": WORDS, "protocol": st.sampled_from(["TCP", "UDP"])},
    ),
    max_size=3,
)
PROBE = some({}, {"httpGet": some({"port": st.integers(0, 65535) | WORDS}, {"path": WORDS})})
CONTAINERS = st.lists(
    some(
        {"name": WORDS},
        {
            "image": WORDS,
            "ports": PORTS,
            "readinessProbe": PROBE,
            "livenessProbe": PROBE,
            "securityContext": some(
                {}, {"capabilities": some({}, {"add": st.lists(WORDS), "drop": st.lists(WORDS)})}
            ),
            "volumeMounts": st.lists(
                some(
                    {"name": WORDS, "mountPath": st.just(names.SERVICE_ACCOUNT_MOUNT) | WORDS},
                    {"readOnly": st.booleans()},
                ),
                max_size=2,
            ),
        },
    ),
    max_size=3,
)
POD_SPECS = some(
    {"containers": CONTAINERS},
    {
        "initContainers": CONTAINERS,
        "hostNetwork": st.just(value=False) | st.sampled_from([False, False, True]),
        "automountServiceAccountToken": st.booleans(),
        "volumes": st.lists(some({"name": WORDS}, {}), max_size=2),
    },
)
METADATA = some(
    {},
    {
        "name": WORDS,
        "generateName": WORDS,
        "namespace": WORDS,
        "annotations": ANNOTATIONS,
        "labels": st.dictionaries(st.text(max_size=8), WORDS, max_size=3),
        "ownerReferences": st.lists(
            some(
                {"kind": st.sampled_from(["ReplicaSet", "Job", "Thing"]), "name": WORDS},
                {"apiVersion": WORDS, "uid": WORDS},
            ),
            max_size=2,
        ),
    },
)
PODS = some(
    {"kind": st.just("Pod"), "metadata": METADATA, "spec": POD_SPECS}, {"apiVersion": st.just("v1")}
)
SERVICES = some(
    {
        "kind": st.just("Service"),
        "metadata": METADATA,
        "spec": some(
            {},
            {
                "ports": st.lists(
                    some({"port": st.integers(0, 65535)}, {"targetPort": st.integers() | WORDS}),
                    max_size=3,
                )
            },
        ),
    },
    {},
)
DEPLOYMENTS = some(
    {
        "kind": st.sampled_from(["Deployment", "CronJob", "Job", "Widget"]),
        "metadata": METADATA,
        "spec": some({}, {"template": some({"spec": POD_SPECS}, {"metadata": METADATA})}),
    },
    {"apiVersion": st.sampled_from(["apps/v1", "batch/v1", "example.org/v1"])},
)


class Cluster:
    """An API server that knows every namespace, and owners that are none."""

    def __init__(self, annotations: Json) -> None:
        self.annotations = annotations

    async def get(self, path: str, query: Mapping[str, str]) -> Json:
        if path.startswith("/api/v1/namespaces/"):
            return {"metadata": {"annotations": self.annotations}}
        raise ApiError("not found", status=404)

    async def create(self, path: str, found: Json) -> Json:
        return {"metadata": {"name": "event"}}

    async def replace(self, path: str, found: Json) -> Json:
        raise NotImplementedError

    async def patch(self, path: str, change: Json, *, form: str = "") -> Json:
        return change

    async def delete(self, path: str, *, version: str) -> Json:
        raise NotImplementedError


@given(PODS | SERVICES, NAMESPACES)
def test_the_patch_says_what_becomes_of_a_pod(found: Any, annotations: dict[str, str]) -> None:
    before = copy.deepcopy(found)
    owner = Owner("deployment", "web")
    try:
        injection = admit(found, MESH, namespace="ns", annotations=annotations, owner=owner)
    except RefusedError:
        return
    assert found == before
    patch = json.loads(json.dumps(injection.patch))
    assert jsonpatch.apply_patch(before, patch) == injection.found
    assert set(injection.report.reasons) <= REASONS.keys()
    assert bool(injection.report.is_injectable) <= bool(patch)
    if injection.report.is_injectable:
        # Once is enough.
        again = admit(injection.found, MESH, namespace="ns", annotations=annotations, owner=owner)
        assert "sidecar_already_exists" in again.report.reasons


@given(DEPLOYMENTS | PODS)
def test_what_was_injected_can_be_taken_out(found: Any) -> None:
    try:
        workload = read_workload(found)
        if workload.path is None:
            return
        injection = inject_manifest(workload, MESH, annotations={"linkerd.io/x": "y"})
    except RefusedError:
        return
    before = uninject(workload).found
    after = uninject(read_workload(injection.found)).found
    assert without_empty(after) == without_empty(before)


@given(JUNK | some({"uid": WORDS, "object": PODS | SERVICES, "namespace": WORDS}, {}), NAMESPACES)
async def test_every_review_is_answered(request: Any, annotations: dict[str, str]) -> None:
    if isinstance(request, dict) and "object" in request:
        request["kind"] = {"group": "", "version": "v1", "kind": "Pod"}
    cluster = Cluster(annotations)
    events = InjectionEvents(cluster, clock=SystemClock())
    webhook = Webhook(
        cluster,
        mesh=lambda: MESH,
        owners=Owners(cluster),
        events=events,
        counted=Counted(CollectorRegistry()),
    )
    try:
        answered = await webhook.answer({"request": request})
    except UnansweredError:
        return
    finally:
        await events.told()
    json.dumps(answered, allow_nan=False).encode("ascii")
    response = answered["response"]
    assert response["allowed"] or response["status"]["message"]


def without_empty(value: Any) -> Any:
    """Lists and mappings that only an injection needed may stay, empty."""
    if isinstance(value, dict):
        kept = {key: without_empty(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one not in ({}, [], None)}
    if isinstance(value, list):
        return [without_empty(one) for one in value]
    return value
