"""`linkerd2-py controller …` as it runs in a pod: real processes in front of a real API server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest

from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import destination_pb2_grpc as stubs
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proto.gen import outbound_pb2_grpc as outbound_stubs
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import PROGRAM, START_S, Controller
from tests.support.cluster.kubectl import Kubectl
from tests.support.ports import free_port
from tests.support.wait import eventually, in_time

from .test_source import apply, service

pytestmark = pytest.mark.timeout(300)


def by_hand(kubectl: Kubectl, namespace: str, *ips: str) -> None:
    """A service `web` that these serve: no pods, for nobody runs them here."""
    bare = service(namespace)
    del bare["spec"]["selector"]
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-by-hand",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [ip]} for ip in ips],
    }
    apply(kubectl, bare, slice_)


def ask(namespace: str) -> messages.GetDestination:
    return messages.GetDestination(path=f"web.{namespace}.svc.cluster.local:80")


def policy_of(namespace: str) -> outbound.TrafficSpec:
    return outbound.TrafficSpec(
        source_workload=f'{{"ns":"{namespace}","pod":"client"}}',
        authority=f"web.{namespace}.svc.cluster.local:80",
    )


def is_led(kubectl: Kubectl, namespace: str) -> bool:
    words = ("get", "leases", f"--namespace={namespace}", "--output=json")
    return any(one["spec"].get("holderIdentity") for one in json.loads(kubectl(*words))["items"])


def ips(addresses: Iterable[messages.WeightedAddr]) -> list[str]:
    return sorted(str(ip_address(one.addr.ip.ipv4)) for one in addresses)


async def test_destination_answers_from_the_cluster_and_ends_when_told(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    kubectl("create", "namespace", "asked")
    by_hand(kubectl, "asked", "192.0.2.1")
    words = ("--kubeconfig", control_plane.kubeconfig, "--controller-namespace", "asked")
    with Controller("destination", *words, folder=tmp_path) as destination:
        destination.wait_ready()
        assert destination.ask("/live") == (200, "pong\n")
        assert "task_failures_total" in destination.ask("/metrics")[1]
        async with grpc.aio.insecure_channel(destination.address) as channel:
            call = stubs.DestinationStub(channel).Get(ask("asked"))
            first = await in_time(call.read(), START_S)
            assert ips(first.add.addrs) == ["192.0.2.1"]
            assert first.add.addrs[0].addr.port == 8080
            policies = outbound_stubs.OutboundPoliciesStub(channel)
            assert (await in_time(policies.Get(policy_of("asked")), START_S)).HasField("protocol")
            # And one of all the processes like this writes statuses.
            eventually(lambda: is_led(kubectl, "asked"), deadline_s=START_S)
            # An open stream does not keep it.
            assert destination.stop() == 0
        assert "Traceback" not in destination.child.output()
        # It gave the lease back.
        assert not is_led(kubectl, "asked")
    kubectl("delete", "namespace", "asked", "--wait=false")


def test_an_api_server_that_is_away_at_the_start_is_waited_for(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    away = tmp_path / "away.kubeconfig"
    text = control_plane.kubeconfig.read_text()
    away.write_text(text.replace(control_plane.server, f"https://127.0.0.1:{free_port()}"))
    with Controller("destination", "--kubeconfig", away, folder=tmp_path) as destination:
        eventually(lambda: "services: https://127" in destination.ask("/ready")[1])
        status, body = destination.ask("/ready")
        assert status == 503
        assert body.startswith("not listed yet: namespaces, nodes, pods, services, ")
        assert destination.ask("/live")[0] == 200
        assert destination.stop() == 0


def account(
    control_plane: ControlPlane, kubectl: Kubectl, folder: Path, *, name: str, **may: list[str]
) -> Path:
    """A kubeconfig of somebody who may follow these resources, by the first word of their group."""
    group = "rbac.authorization.k8s.io"
    groups = {
        "core": "",
        "discovery": "discovery.k8s.io",
        "policy": "policy.linkerd.io",
        "policy_of_ours": "policy.linkerd2-py.io",
        "gateway": "gateway.networking.k8s.io",
        "profiles": "linkerd.io",
        "workload": "workload.linkerd.io",
    }
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [
            {
                "apiGroups": [groups.get(word, word)],
                "resources": resources,
                "verbs": ["list", "watch"],
            }
            for word, resources in may.items()
        ],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": name}],
    }
    apply(kubectl, role, binding)
    kubectl("create", "serviceaccount", name)
    token = kubectl("create", "token", name).strip()
    found = json.loads(kubectl("config", "view", "--raw", "--output=json"))
    found["users"] = [{"name": name, "user": {"token": token}}]
    found["contexts"][0]["context"]["user"] = name
    config = folder / f"{name}.kubeconfig"
    config.write_text(json.dumps(found))
    return config


def test_a_kind_that_may_not_be_listed_is_named_and_the_others_go_on(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    config = account(
        control_plane,
        kubectl,
        tmp_path,
        name="no-slices",
        core=["namespaces", "nodes", "pods", "services", "replicationcontrollers"],
        apps=["*"],
        batch=["*"],
    )
    with Controller("destination", "--kubeconfig", config, folder=tmp_path) as destination:
        trouble = "endpointslices.discovery.k8s.io: endpointslices.discovery.k8s.io is forbidden"
        eventually(lambda: trouble in destination.ask("/ready")[1], deadline_s=START_S)
        eventually(lambda: " pods" not in destination.ask("/ready")[1].splitlines()[0])
        eventually(lambda: " jobs" not in destination.ask("/ready")[1].splitlines()[0])
        status, body = destination.ask("/ready")
        missing, *troubles = body.splitlines()
        assert status == 503
        assert missing.startswith("not listed yet: endpointslices.discovery.k8s.io, servers.")
        assert "httproutes.policy.linkerd.io" in missing
        assert not {"pods", "services", "nodes"} & {*missing.split(": ")[1].split(", ")}
        assert all("forbidden" in line for line in troubles)
        destination.child.wait_for_line(r"WARN .*cannot follow endpointslices.*is forbidden")
        assert destination.stop() == 0


async def test_nobody_waits_for_kinds_that_only_describe_others(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    kubectl("create", "namespace", "described")
    by_hand(kubectl, "described", "192.0.2.1")
    config = account(
        control_plane,
        kubectl,
        tmp_path,
        name="no-nodes",
        core=["namespaces", "pods", "services"],
        apps=["deployments", "statefulsets", "daemonsets"],
        discovery=["endpointslices"],
        policy=["*"],
        policy_of_ours=["*"],
        gateway=["*"],
        profiles=["*"],
        workload=["*"],
    )
    with Controller("destination", "--kubeconfig", config, folder=tmp_path) as destination:
        destination.wait_ready()
        eventually(lambda: "\nnodes: nodes is forbidden" in destination.ask("/ready")[1])
        eventually(lambda: "\nreplicasets.apps: " in destination.ask("/ready")[1])
        status, body = destination.ask("/ready")
        assert (status, body.splitlines()[0]) == (200, "ok")
        async with grpc.aio.insecure_channel(destination.address) as channel:
            call = stubs.DestinationStub(channel).Get(ask("described"))
            first = await in_time(call.read(), START_S)
            assert ips(first.add.addrs) == ["192.0.2.1"]
        assert destination.stop() == 0
    kubectl("delete", "namespace", "described", "--wait=false")


async def test_no_proxy_notices_that_a_destination_was_killed(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    """Behind a proxy-api that only relays: no stream ends, and none is told of an empty set."""
    kubectl("create", "namespace", "relayed")
    by_hand(kubectl, "relayed", "192.0.2.1", "192.0.2.2")
    words = ("--kubeconfig", control_plane.kubeconfig)
    port = free_port()
    with (
        Controller(
            "proxy-api", "--destination-addr", f"127.0.0.1:{port}", folder=tmp_path
        ) as front,
        Controller("destination", *words, folder=tmp_path, port=port) as first,
    ):
        front.wait_ready()
        async with grpc.aio.insecure_channel(front.address) as channel:
            calls = [stubs.DestinationStub(channel).Get(ask("relayed")) for _ in range(5)]
            for call in calls:
                both = await in_time(call.read(), START_S)
                assert ips(both.add.addrs) == ["192.0.2.1", "192.0.2.2"]
            policies = outbound_stubs.OutboundPoliciesStub(channel)
            policy = policies.Watch(policy_of("relayed"))
            assert (await in_time(policy.read(), START_S)).HasField("protocol")
            first.child.kill()
            eventually(lambda: f"127.0.0.1:{port}" in front.ask("/ready")[1], deadline_s=START_S)
            assert front.ask("/ready")[0] == 200
            by_hand(kubectl, "relayed", "192.0.2.2", "192.0.2.3")
            with Controller("destination", *words, folder=tmp_path, port=port) as second:
                second.wait_ready()
                for call in calls:
                    came, went = [await in_time(call.read(), START_S) for _ in range(2)]
                    assert ips(came.add.addrs) == ["192.0.2.3"]
                    assert [one.ip.ipv4 & 0xFF for one in went.remove.addrs] == [1]
                    assert not call.done()
                assert not policy.done()
            assert front.stop() == 0
    kubectl("delete", "namespace", "relayed", "--wait=false")


def test_people_ask_the_public_api_of_a_cluster(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    kubectl("create", "namespace", "shown")
    by_hand(kubectl, "shown", "192.0.2.1")
    words = ("--kubeconfig", control_plane.kubeconfig, "--destination-addr", "127.0.0.1:1")
    with Controller("public-api", *words, folder=tmp_path) as running:
        running.wait_ready()
        command = (*PROGRAM[:-1], "get", "services", "-n", "shown", "--api-addr", running.address)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[1].startswith("web ")
        assert running.stop() == 0
    kubectl("delete", "namespace", "shown", "--wait=false")


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["destination", "--log-level=loud"], 2, "--log-level: 'linkerd=loud': level must be"),
        (["destination", "--log-format=xml"], 2, "--log-format: 'xml' is not known: use plain"),
        (["destination", "--addr=8086"], 2, "--addr: '8086' is not an address: write HOST:PORT"),
        (["destination", "--enable-ipv6=yes"], 2, "--enable-ipv6: 'yes' is not known: use true or"),
        (["destination", "--cluster-domain=a.b"], 2, "'a.b' is not supported: it can be 'cluster."),
        (["destination", "--default-opaque-ports=smtp"], 2, "'smtp' has no ports: write 25,587"),
        (["destination", "--meshed-http2-client-params=1"], 2, "'1' has no keep_alive: write {"),
        (["destination", "--cluster-networks=10.0.0.1/8"], 2, "10.0.0.1/8 has host bits set"),
        (["destination", "--default-policy=allow"], 2, "'allow' is not known: use all-unauthentic"),
        (["proxy-api", "--issuer=a", "--identity-addr=b:1"], 2, "give one of them"),
        (["identity", "--identity-trust-domain=a..b"], 2, "'a..b' is not a trust domain"),
        (["identity", "--identity-issuance-lifetime=0s"], 2, "lifetime of a certificate must be"),
        (
            ["destination", "--metrics-addr=127.0.0.1:0"],
            1,
            "no kubeconfig is given, and this is no pod: ",
        ),
    ],
)
def test_what_cannot_start_says_why_in_one_line(words: list[str], status: int, line: str) -> None:
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == status
    *_, last = done.stderr.splitlines()
    assert last.startswith("linkerd2-py: ")
    assert line in last
    assert "Traceback" not in done.stderr


def test_an_address_that_is_taken_ends_the_start(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    words = ("--kubeconfig", control_plane.kubeconfig)
    with Controller("destination", *words, folder=tmp_path) as first:
        port = int(first.address.rpartition(":")[2])
        with Controller("destination", *words, folder=tmp_path, port=port) as second:
            assert second.child.wait(deadline_s=START_S) == 1
            assert (
                f"linkerd2-py: proxy-api: cannot listen on 127.0.0.1:{port}: Address already in use"
                in second.child.output()
            )
