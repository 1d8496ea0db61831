"""Statuses of routes, egress networks and rate limits on a real API server, written by one of two contenders."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.kubernetes_api import Json, KubernetesApi
from linkerd2_py.controlplane.leader import Leader, LeaseTimes
from linkerd2_py.controlplane.mesh.status import CONTROLLER
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.status.writer import LEASE, StatusWriter
from linkerd2_py.controlplane.sources.kubernetes.api_server import connect
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import KubernetesSource
from linkerd2_py.controlplane.writing.pace import Pace
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl
from tests.support.wait import eventually_async, in_time

LIMIT_S = 30.0
LONG = LeaseTimes(lease_s=3600.0, sure_s=1800.0, look_s=0.05)
SOON = BackoffRange(min_s=0.05, max_s=0.5, jitter=0.0)
NEVER = BackoffRange(min_s=3600.0, max_s=3600.0, jitter=0.0)
GATEWAY = "gateway.networking.k8s.io"
POLICY = "policy.linkerd.io"
Object = dict[str, Any]

# The first of them waits until the API server has started.
pytestmark = pytest.mark.timeout(300)


@dataclass
class Contender:
    """One who would write, with a client and a mesh of its own."""

    writer: StatusWriter
    leader: Leader


class Interrupted:
    """Somebody else is at work between what is read first and what is then written."""

    def __init__(self, api: KubernetesApi, work: Callable[[], None]) -> None:
        self._api = api
        self._work: Callable[[], None] | None = work
        self.create = api.create
        self.replace = api.replace
        self.patch = api.patch
        self.delete = api.delete

    async def get(self, path: str, query: Mapping[str, str]) -> Json:
        found = await self._api.get(path, query)
        work, self._work = self._work, None
        if work:
            work()
        return found


class Contenders:
    """Those of one test, and the objects whose statuses they write."""

    def __init__(self, control_plane: ControlPlane, stack: AsyncExitStack, namespace: str) -> None:
        self._control_plane = control_plane
        self._stack = stack
        self.namespace = namespace
        self.kubectl = Kubectl(control_plane.kubeconfig)

    async def __call__(
        self,
        identity: str,
        *,
        pauses: BackoffRange = SOON,
        user: str = "",
        between: Callable[[], None] | None = None,
    ) -> Contender:
        clock, store = SystemClock(), MeshStore()
        api = await connect(self._control_plane.kubeconfig)
        self._stack.push_async_callback(api.close)
        config = self._control_plane.kubeconfig_of(user) if user else self._control_plane.kubeconfig
        writes_by = await connect(config)
        self._stack.push_async_callback(writes_by.close)
        leader = Leader(
            api, namespace=self.namespace, name=LEASE, identity=identity, clock=clock, times=LONG
        )
        writer = StatusWriter(
            store,
            api=Interrupted(writes_by, between) if between else writes_by,
            leadership=leader,
            cluster=Cluster(),
            clock=clock,
            metrics=CollectorRegistry(),
            pace=Pace(clock=clock, pauses=pauses),
        )
        source = KubernetesSource(api, store=store, clock=clock, identities=Identities())
        self._stack.push_async_callback(source.stop)
        self._stack.push_async_callback(leader.stop)
        self._stack.push_async_callback(writer.stop)
        leader.start()
        writer.start()
        await eventually_async(lambda: not source.unsynced, deadline_s=LIMIT_S)
        return Contender(writer, leader)

    def apply(self, *objects: Object) -> None:
        self.kubectl.apply(*objects)

    def get(self, plural: str, name: str) -> Object:
        words = ("get", plural, name, f"--namespace={self.namespace}", "--output=json")
        return dict(json.loads(self.kubectl(*words)))

    def versions(self) -> dict[str, str]:
        """Of every object that has a status of ours."""
        kinds = ",".join(
            f"{kind}.{group}"
            for group, names in (
                (GATEWAY, ("httproutes", "grpcroutes", "tlsroutes", "tcproutes")),
                (POLICY, ("httproutes", "egressnetworks", "httplocalratelimitpolicies")),
            )
            for kind in names
        )
        listed = self.kubectl("get", kinds, f"--namespace={self.namespace}", "--output=json")
        return {
            f"{one['kind']}/{one['apiVersion']}/{one['metadata']['name']}": one["metadata"][
                "resourceVersion"
            ]
            for one in json.loads(listed)["items"]
        }

    def conditions(self, plural: str, name: str) -> list[list[str]]:
        """Of each of our parents: what holds or why it does not."""
        parents = (self.get(plural, name).get("status") or {}).get("parents") or []
        return [
            [f"{one['type']}={one['status']}:{one['reason']}" for one in parent["conditions"]]
            for parent in parents
            if parent["controllerName"] == CONTROLLER
        ]

    def say(self, plural: str, name: str, *parents: Object) -> None:
        """The words of somebody else, in the place of all that was said."""
        self.kubectl(
            "patch",
            plural,
            name,
            f"--namespace={self.namespace}",
            "--subresource=status",
            "--type=merge",
            f"--patch={json.dumps({'status': {'parents': list(parents)}})}",
        )

    def service(self, name: str, **spec: object) -> Object:
        ports = [{"port": 80, "targetPort": 8080}]
        return self._object("v1", "Service", name, {"ports": ports, **spec})

    def route(
        self,
        name: str,
        *parents: Object,
        to: str = "web",
        kind: str = "HTTPRoute",
        version: str = "v1",
    ) -> Object:
        rules = [{"backendRefs": [{"name": to, "port": 80}]}]
        spec = {"parentRefs": list(parents) or [WEB], "rules": rules}
        return self._object(f"{GATEWAY}/{version}", kind, name, spec)

    def policy(self, kind: str, version: str, name: str, spec: Object) -> Object:
        return self._object(f"{POLICY}/{version}", kind, name, spec)

    def _object(self, version: str, kind: str, name: str, spec: Object) -> Object:
        about = {"name": name, "namespace": self.namespace}
        return {"apiVersion": version, "kind": kind, "metadata": about, "spec": spec}


WEB: Object = {"group": "", "kind": "Service", "name": "web", "port": 80}
GATE: Object = {"group": GATEWAY, "kind": "Gateway", "name": "gate"}
THEIRS: Object = {
    "parentRef": GATE,
    "controllerName": "example.com/gateway",
    "conditions": [
        {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "theirs",
            "lastTransitionTime": "2020-01-01T00:00:00Z",
        }
    ],
}
ACCEPTED = ["Accepted=True:Accepted", "ResolvedRefs=True:ResolvedRefs"]


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> None:
    """The API server knows all kinds that have statuses of ours."""
    install_crds(Kubectl(control_plane.kubeconfig))


@pytest.fixture
async def contenders(
    control_plane: ControlPlane, kinds: None, request: pytest.FixtureRequest
) -> AsyncIterator[Contenders]:
    del kinds
    name = request.node.name.replace("_", "-").removeprefix("test-")[:60].strip("-")
    async with AsyncExitStack() as stack:
        found = Contenders(control_plane, stack, name)
        found.kubectl("create", "namespace", name)
        yield found
    found.kubectl("delete", "namespace", name, "--wait=false")


async def until(condition: Callable[[], bool], what: str = "") -> None:
    await eventually_async(condition, deadline_s=LIMIT_S, what=what)


async def test_statuses_say_who_takes_a_route_and_whether_its_backends_are_there(
    contenders: Contenders,
) -> None:
    at, network = contenders, {"trafficPolicy": "Allow", "networks": [{"cidr": "8.0.0.0/8"}]}
    headless = {**WEB, "name": "headless"}
    server = {"group": POLICY, "kind": "Server", "name": "http"}
    out = {"group": POLICY, "kind": "EgressNetwork", "name": "out", "port": 443}
    at.apply(
        at.service("web"),
        at.service("other"),
        at.service("headless", clusterIP="None"),
        at.policy("Server", "v1beta3", "http", {"podSelector": {}, "port": 80}),
        at.policy("EgressNetwork", "v1alpha1", "out", network),
        at.policy(
            "EgressNetwork",
            "v1alpha1",
            "inside",
            {**network, "networks": [{"cidr": "10.1.0.0/16"}]},
        ),
        at.policy("HTTPRoute", "v1beta3", "mine", {"parentRefs": [server], "rules": []}),
        at.route("all", WEB, headless, {**WEB, "name": "missing"}, GATE, out),
        at.route("lost", {**WEB, "name": "other"}, to="missing"),
        at.route("calls", {**WEB, "name": "other"}, kind="GRPCRoute"),
        at.route("bytes", WEB, kind="TLSRoute", version="v1alpha2"),
        at.route("more", {**WEB, "port": 81}, kind="TCPRoute", version="v1alpha2"),
    )
    target = {"targetRef": server, "total": {"requestsPerSecond": 5}}
    at.apply(at.policy("HTTPLocalRateLimitPolicy", "v1alpha1", "a", target))
    at.apply(at.policy("HTTPLocalRateLimitPolicy", "v1alpha1", "b", target))
    one = await at("one")
    await until(lambda: one.writer.is_settled)
    refused = "Accepted=False:NoMatchingParent"
    assert at.conditions("httproutes.gateway.networking.k8s.io", "all") == [
        ACCEPTED,
        [refused, ACCEPTED[1]],
        [refused, ACCEPTED[1]],
        ACCEPTED,
    ]
    conflicted = "Accepted=False:RouteReasonConflicted"
    assert at.conditions("httproutes.gateway.networking.k8s.io", "lost") == [
        [conflicted, "ResolvedRefs=False:BackendNotFound"]
    ]
    assert at.conditions("grpcroutes", "calls") == [ACCEPTED]
    assert at.conditions("tlsroutes", "bytes") == [[conflicted, ACCEPTED[1]]]
    assert at.conditions("tcproutes", "more") == [ACCEPTED]
    (mine,) = at.get("httproutes.policy.linkerd.io", "mine")["status"]["parents"]
    since = mine["conditions"][0].pop("lastTransitionTime")
    assert since.endswith("Z")
    assert mine == {
        "parentRef": {
            "group": POLICY,
            "kind": "Server",
            "namespace": at.namespace,
            "name": "http",
        },
        "controllerName": "linkerd.io/policy-controller",
        "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}],
    }
    (parent, *_) = at.get("httproutes.gateway.networking.k8s.io", "all")["status"]["parents"]
    assert parent["parentRef"] == {
        "group": "core",
        "kind": "Service",
        "namespace": at.namespace,
        "name": "web",
        "port": 80,
    }
    (outside,) = at.get("egressnetworks", "out")["status"]["conditions"]
    (inside,) = at.get("egressnetworks", "inside")["status"]["conditions"]
    assert (outside["status"], outside["reason"]) == ("True", "Accepted")
    assert (inside["status"], inside["reason"]) == ("False", "EgressReasonNetworkOverlap")
    first = at.get("httplocalratelimitpolicies", "a")["status"]
    second = at.get("httplocalratelimitpolicies", "b")["status"]
    assert first["targetRef"] == server
    assert first["conditions"][0]["reason"] == "Accepted"
    assert second["conditions"][0]["reason"] == "RateLimitReasonAlreadyExists"


async def test_one_of_two_writes_and_nobody_where_nothing_differs(contenders: Contenders) -> None:
    at = contenders
    at.apply(at.service("web"), at.route("first"), at.route("second", to="missing"))
    one = await at("one")
    await in_time(one.leader.elected(), LIMIT_S)
    two = await at("two")
    await until(lambda: one.writer.is_settled)
    versions = at.versions()
    assert len(versions) == 2
    # What no status depends on is no reason to write one.
    at.apply({**at.service("web", selector={"app": "web"})})
    at.apply(at.service("another"))
    await until(lambda: one.writer.is_settled)
    assert at.versions() == versions
    await one.leader.stop()
    await until(lambda: two.writer.is_settled)
    assert not one.leader.is_leader
    assert at.versions() == versions
    at.apply(at.service("missing"))
    await until(
        lambda: at.conditions("httproutes.gateway.networking.k8s.io", "second") == [ACCEPTED]
    )


async def test_words_of_others_stay_and_ours_go_with_the_parent(contenders: Contenders) -> None:
    at, plural = contenders, "httproutes.gateway.networking.k8s.io"
    at.apply(at.service("web"), at.route("shared", WEB, GATE))
    at.say(plural, "shared", THEIRS)
    one = await at("one")
    await until(lambda: one.writer.is_settled)
    assert at.conditions(plural, "shared") == [ACCEPTED]
    since = at.get(plural, "shared")["status"]["parents"][1]["conditions"][1]["lastTransitionTime"]
    at.kubectl("delete", "service", "web", f"--namespace={at.namespace}")
    lost = ["Accepted=False:NoMatchingParent", "ResolvedRefs=False:BackendNotFound"]
    await until(lambda: at.conditions(plural, "shared") == [lost])
    assert (
        since
        <= at.get(plural, "shared")["status"]["parents"][1]["conditions"][1]["lastTransitionTime"]
    )
    at.apply(at.route("shared", GATE))
    await until(lambda: at.conditions(plural, "shared") == [])
    assert at.get(plural, "shared")["status"]["parents"] == [THEIRS]


async def test_nobody_is_overwritten_who_writes_meanwhile(contenders: Contenders) -> None:
    at, plural = contenders, "httproutes.gateway.networking.k8s.io"
    at.apply(at.service("web"), at.route("shared"))
    one = await at("one", between=lambda: at.say(plural, "shared", THEIRS))
    await until(lambda: at.conditions(plural, "shared") == [ACCEPTED])
    await until(lambda: one.writer.is_settled)
    assert at.get(plural, "shared")["status"]["parents"][0] == THEIRS


async def test_two_who_disagree_do_not_write_without_end(contenders: Contenders) -> None:
    """Here the pause after the first time is longer than the test."""
    at, plural = contenders, "httproutes.gateway.networking.k8s.io"
    at.apply(at.service("web"), at.route("contested"))
    one = await at("one", pauses=NEVER)
    await until(lambda: at.conditions(plural, "contested") == [ACCEPTED])

    at.say(plural, "contested")
    version = at.versions()
    # Something else is still written at once: the contested status was seen before it, and left.
    at.apply(at.route("another"))
    await until(lambda: at.conditions(plural, "another") == [ACCEPTED])
    await until(lambda: one.writer.unsettled == 2)
    assert at.conditions(plural, "contested") == []
    assert version.items() <= at.versions().items()


async def test_who_may_not_write_says_so_and_goes_on(contenders: Contenders) -> None:
    at = contenders
    at.apply(at.service("web"), at.route("first"))
    one = await at("one", user="nobody-of-importance")
    await until(lambda: "forbidden" in one.writer.problem)
    assert at.conditions("httproutes.gateway.networking.k8s.io", "first") == []
    await until(lambda: one.writer.unsettled > 0)
