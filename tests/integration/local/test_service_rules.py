"""The rules for virtual addresses, loaded by both kinds of iptables, and what callers without a proxy get from them."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from linkerd2_py.controlplane.local.service_rules import service_rules, service_rules_base
from linkerd2_py.controlplane.registry.registry import Registry
from linkerd2_py.controlplane.registry.types import Family, Mesh, Pod, PortSpec, Service

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: makes network namespaces and packet filter rules"
)

PORTS = (PortSpec("http", 80, 8080), PortSpec("", 81, 8081))
WEB = Service("shop", "web-svc", "web", PORTS, ips=("10.88.0.10", "fd88::10"))
IDLE = replace(WEB, name="idle-svc", workload="idle", ips=("10.88.0.11", "fd88::11"))
PODS = [
    Pod(
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


class Namespaces:
    """A node that routes between pods, each in a namespace of its own, until removed."""

    _numbers = itertools.count()

    def __init__(self) -> None:
        self.prefix = f"rules-{os.getpid()}-{next(self._numbers)}"
        self.node = f"{self.prefix}-node"
        self._made: list[str] = []
        self._servers: list[subprocess.Popen[str]] = []

    def make(self) -> None:
        self._add(self.node)
        # Somewhere to route virtual addresses to, so that packets to them are forwarded at all.
        self._ip(
            self.node,
            "link set lo up",
            "link add services type bridge",
            "link set services up",
            "route add 10.88.0.0/16 dev services",
            "route add fd88::/16 dev services",
        )
        for name in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            self.run(self.node, "sh", "-c", f"echo 1 > /proc/sys/{name}")
        for number in range(len(PODS)):
            self._make_pod(number)

    def pod(self, number: int) -> str:
        return f"{self.prefix}-{number}"

    def serve(self, number: int) -> None:
        server = subprocess.Popen(
            [
                *("ip", "netns", "exec", self.pod(number)),
                *(sys.executable, "-S", "-c", SERVER, f"web-{number}"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"

    def call(self, number: int, *, ip: str, port: int, times: int = 1) -> list[str]:
        """What a program in a pod gets."""
        return self.run(
            self.pod(number), sys.executable, "-S", "-c", CLIENT, ip, str(port), str(times)
        ).splitlines()

    def run(self, namespace: str, *command: str, text: str = "") -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def remove(self) -> None:
        for server in self._servers:
            server.kill()
            server.communicate()
        for namespace in self._made:
            subprocess.run(["ip", "netns", "delete", namespace], check=True)

    def _make_pod(self, number: int) -> None:
        pod = self.pod(number)
        self._add(pod)
        self._ip(
            self.node,
            f"link add p{number} type veth peer name eth0 netns {pod}",
            f"addr add 10.77.{number}.1/24 dev p{number}",
            f"addr add fd77:{number}::1/64 dev p{number} nodad",
            f"link set p{number} up",
        )
        self._ip(
            pod,
            "link set lo up",
            f"addr add 10.77.{number}.2/24 dev eth0",
            f"addr add fd77:{number}::2/64 dev eth0 nodad",
            "link set eth0 up",
            f"route add default via 10.77.{number}.1",
            f"route add ::/0 via fd77:{number}::1",
        )

    def _add(self, name: str) -> None:
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._made.append(name)

    def _ip(self, namespace: str, *lines: str) -> None:
        self.run(namespace, "ip", "-batch", "-", text="".join(f"{line}\n" for line in lines))


class Rules:
    """One kind of iptables in a node's namespace."""

    def __init__(self, namespaces: Namespaces, *, kind: str) -> None:
        self._namespaces = namespaces
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
        return self._namespaces.run(self._namespaces.node, program, *options, text=text)


def mesh(*, pods: list[Pod]) -> Mesh:
    registry = Registry()
    registry.apply(services=[WEB, IDLE], pods=pods)
    return registry.mesh


@pytest.fixture
def namespaces() -> Iterator[Namespaces]:
    made = Namespaces()
    try:
        made.make()
        yield made
    finally:
        made.remove()


@pytest.fixture(params=["nft", "legacy"])
def rules(request: pytest.FixtureRequest, namespaces: Namespaces) -> Rules:
    return Rules(namespaces, kind=request.param)


def test_loading_again_changes_nothing_and_loading_less_removes(rules: Rules) -> None:
    empty = rules.saved()
    rules.load(mesh(pods=PODS))
    full = rules.saved()
    assert sum("-j DNAT" in line for line in full) == 2 * len(PODS)
    assert sum("-j REJECT" in line for line in full) == 2 * (1 + 1 + 2 + 1)
    assert sum("-j MASQUERADE" in line for line in full) == 2 * len(PODS)
    rules.load(mesh(pods=PODS))
    assert rules.saved() == full
    rules.load(Registry().mesh)
    assert rules.saved() == empty


@pytest.mark.parametrize("ip", WEB.ips)
def test_callers_reach_every_serving_pod_themselves_included(
    namespaces: Namespaces, rules: Rules, ip: str
) -> None:
    for number in (0, 1):
        namespaces.serve(number)
    rules.load(mesh(pods=PODS[:2]))
    # Chance leaves one of two out in one of 2^63 runs.
    found = namespaces.call(2, ip=ip, port=80, times=64)
    assert set(found) == {"web-0", "web-1"}
    assert len(found) == 64
    assert set(namespaces.call(0, ip=ip, port=80, times=64)) == {"web-0", "web-1"}
    rules.load(mesh(pods=PODS[1:2]))
    assert set(namespaces.call(2, ip=ip, port=80, times=16)) == {"web-1"}


@pytest.mark.parametrize("family", [4, 6])
def test_ports_that_nobody_serves_are_refused_at_once(
    namespaces: Namespaces, rules: Rules, family: Family
) -> None:
    rules.load(mesh(pods=PODS))
    web, idle = (service.ips[0 if family == 4 else 1] for service in (WEB, IDLE))
    for ip, port in ((web, 81), (web, 1234), (idle, 80), (idle, 1234)):
        assert namespaces.call(0, ip=ip, port=port) == ["ConnectionRefusedError"]
