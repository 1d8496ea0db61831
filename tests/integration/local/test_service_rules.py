"""The rules for virtual addresses, loaded by both kinds of iptables, and what callers without a proxy get
from them.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from linkerd2_py.controlplane.local.place.transparent.service_rules import (
    service_rules,
    service_rules_base,
)
from linkerd2_py.controlplane.mesh.objects import Family, PortSpec
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh
from tests.support.netns import inside, namespace, sh, write_setting

PORTS = (PortSpec("http", 80, 8080), PortSpec("", 81, 8081))
WEB = ServiceSpec("shop", "web-svc", "web", PORTS, ips=("10.88.0.10", "fd88::10"))
IDLE = replace(WEB, name="idle-svc", workload="idle", ips=("10.88.0.11", "fd88::11"))
PODS = [
    Replica(
        "shop",
        f"web-{number}",
        "web",
        f"10.77.{number}.2",
        {8080: 8080},
        ready=True,
        status="Running",
        ip6=f"fd77:{number}::2",
    )
    for number in range(3)
]
# Says its name to whoever connects.
SERVER = """
import socket, sys
listener = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
while True:
    peer = listener.accept()[0]
    peer.sendall(sys.argv[1].encode())
    peer.close()
"""
# Connects some times and prints what it read; the first failure ends it.
CLIENT = """
import socket, sys
for _ in range(int(sys.argv[3])):
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as peer:
            print(peer.recv(100).decode())
    except OSError as error:
        print(type(error).__name__)
        break
"""


class Node:
    """A node that routes between pods, each in a namespace of its own; all are made in `ends`."""

    def __init__(self, ends: ExitStack) -> None:
        self._ends = ends
        # Somewhere to route virtual addresses to, so that packets to them are forwarded at all.
        self.netns = ends.enter_context(
            namespace(
                "link add services type bridge",
                "link set services up",
                "route add 10.88.0.0/16 dev services",
                "route add fd88::/16 dev services",
            )
        )
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            write_setting(self.netns, setting, "1")
        self._pods = [self._make_pod(number) for number in range(len(PODS))]

    def serve(self, number: int) -> None:
        """Start the program of a pod; it ends with its namespace."""
        server = subprocess.Popen(
            [
                *("ip", "netns", "exec", self._pods[number]),
                *(sys.executable, "-S", "-c", SERVER, f"web-{number}"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ends.callback(server.communicate)
        self._ends.callback(server.kill)
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"

    def call(self, number: int, *, ip: str, port: int, times: int = 1) -> list[str]:
        """What a program in a pod gets."""
        words = (sys.executable, "-S", "-c", CLIENT, ip, str(port), str(times))
        return inside(self._pods[number], *words).stdout.splitlines()

    def _make_pod(self, number: int) -> str:
        link = (
            f"link add p{number} type veth peer name eth0 netns {{}}",
            f"addr add 10.77.{number}.1/24 dev p{number}",
            f"addr add fd77:{number}::1/64 dev p{number} nodad",
            f"link set p{number} up",
        )
        pod = self._ends.enter_context(namespace())
        sh("ip", "-n", self.netns, "-batch", "-", text="\n".join(link).format(pod))
        own = (
            f"addr add 10.77.{number}.2/24 dev eth0",
            f"addr add fd77:{number}::2/64 dev eth0 nodad",
            "link set eth0 up",
            f"route add default via 10.77.{number}.1",
            f"route add ::/0 via fd77:{number}::1",
        )
        sh("ip", "-n", pod, "-batch", "-", text="\n".join(own))
        return pod


class Rules:
    """One kind of iptables in a node's namespace."""

    def __init__(self, node: Node, *, kind: str) -> None:
        self._node = node
        self._kind = kind
        for family in (4, 6):
            self._restore(service_rules_base(), family=family)

    def load(self, mesh: Mesh) -> None:
        families: tuple[Family, ...] = (4, 6)
        for family in families:
            self._restore(service_rules(mesh, family=family), family=family)

    def saved(self) -> list[str]:
        """What is in force, without counters and comments."""
        texts = [self._run("save", family=family) for family in (4, 6)]
        lines = "".join(texts).splitlines()
        return [re.sub(r" \[\d+:\d+\]", "", line) for line in lines if not line.startswith("#")]

    def _restore(self, text: str, *, family: int) -> None:
        self._run("restore", "--noflush", "--wait", family=family, text=text)

    def _run(self, action: str, *options: str, family: int, text: str = "") -> str:
        program = f"{'ip6tables' if family == 6 else 'iptables'}-{self._kind}-{action}"
        return inside(self._node.netns, program, *options, text=text).stdout


def mesh(*, pods: list[Replica]) -> Mesh:
    local_mesh = LocalMesh()
    local_mesh.apply(services=[WEB, IDLE], pods=pods)
    return local_mesh.mesh


@pytest.fixture
def node() -> Iterator[Node]:
    with ExitStack() as ends:
        yield Node(ends)


@pytest.fixture(params=["nft", "legacy"])
def rules(request: pytest.FixtureRequest, node: Node) -> Rules:
    return Rules(node, kind=request.param)


def test_loading_again_changes_nothing_and_loading_less_removes(rules: Rules) -> None:
    empty = rules.saved()
    rules.load(mesh(pods=PODS))
    full = rules.saved()
    assert sum("-j DNAT" in line for line in full) == 2 * len(PODS)
    assert sum("-j REJECT" in line for line in full) == 2 * (1 + 1 + 2 + 1)
    assert sum("-j MASQUERADE" in line for line in full) == 2 * len(PODS)
    rules.load(mesh(pods=PODS))
    assert rules.saved() == full
    rules.load(LocalMesh().mesh)
    assert rules.saved() == empty


@pytest.mark.parametrize("ip", WEB.ips)
def test_callers_reach_every_serving_pod_themselves_included(
    node: Node, rules: Rules, ip: str
) -> None:
    for number in (0, 1):
        node.serve(number)
    rules.load(mesh(pods=PODS[:2]))
    # Chance leaves one of two out in one of 2^63 runs.
    found = node.call(2, ip=ip, port=80, times=64)
    assert set(found) == {"web-0", "web-1"}
    assert len(found) == 64
    assert set(node.call(0, ip=ip, port=80, times=64)) == {"web-0", "web-1"}
    rules.load(mesh(pods=PODS[1:2]))
    assert set(node.call(2, ip=ip, port=80, times=16)) == {"web-1"}


@pytest.mark.parametrize("family", [4, 6])
def test_ports_that_nobody_serves_are_refused_at_once(
    node: Node, rules: Rules, family: Family
) -> None:
    rules.load(mesh(pods=PODS))
    web, idle = (service.ips[0 if family == 4 else 1] for service in (WEB, IDLE))
    for ip, port in ((web, 81), (web, 1234), (idle, 80), (idle, 1234)):
        assert node.call(0, ip=ip, port=port) == ["ConnectionRefusedError"]
