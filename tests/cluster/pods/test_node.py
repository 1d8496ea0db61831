"""The node that the other tests of this folder run pods on: what runs there, and that nothing of it stays."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cluster.control_plane import StartError
from tests.support.cluster.node.cluster import NodeCluster
from tests.support.cluster.node.images import ImageError
from tests.support.cluster.node.machine import has_ipv6
from tests.support.cluster.node.node import Node
from tests.support.netns import as_user
from tests.support.privileges import NOBODY, need_root
from tests.support.processes import assert_gone
from tests.support.wait import eventually

# The first of them waits until a node has started, one of them twice.
pytestmark = pytest.mark.timeout(300)

CLUSTER = [sys.executable, "-m", "tests.support.cluster"]


def rules() -> str:
    """The packet filter rules of this machine, whichever program wrote them."""
    found = [
        subprocess.run([program], capture_output=True, text=True, check=False).stdout
        for program in ("iptables-nft-save", "iptables-legacy-save", "ip6tables-nft-save")
    ]
    lines = "\n".join(found).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("#", ":")))


def test_pods_have_addresses_of_each_family_that_the_machine_has(node: Node) -> None:
    coredns = node.items("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")[0]
    addresses = [one["ip"] for one in coredns["status"]["podIPs"]]
    assert [":" in address for address in addresses] == ([False, True] if has_ipv6() else [False])


def test_what_ends_starts_again_and_pods_go_on(node: Node) -> None:
    def containers() -> list[str]:
        pods = node.items("pods", "--namespace=kube-system")
        return [
            status["containerID"] for pod in pods for status in pod["status"]["containerStatuses"]
        ]

    before = containers()
    (kubelet,) = node.processes("kubelet")
    kubelet.kill()
    eventually(
        lambda: [one.pid for one in node.processes("kubelet")] not in ([], [kubelet.pid]),
        deadline_s=30,
        what="another kubelet runs",
    )
    node.kubectl("wait", "--for=condition=Ready", "node/node", "--timeout=60s")
    assert containers() == before


def test_another_runs_beside_it_and_leaves_nothing(
    node: Node, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before, root = rules(), tmp_path_factory.mktemp("other")
    with contextlib.closing(NodeCluster(root)):
        other = Node(root)
        other.kubectl("create", "namespace", "only-there")
        assert other.items("pods", "--namespace=kube-system")
        inside = other.processes()
        cgroups = (root / "cgroups").read_text().splitlines()
        assert inside and cgroups
    assert "only-there" not in node.kubectl("get", "namespaces")
    assert_gone(*(one.pid for one in inside))
    assert not [one for one in cgroups if Path(one).exists()]
    assert str(root) not in Path("/proc/self/mounts").read_text()
    assert rules() == before


def test_a_path_that_is_too_long_for_its_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="too long a path for the sockets of a kubelet"):
        NodeCluster(tmp_path / ("x" * 100))


def test_who_may_not_run_one_is_told_so(tmp_path: Path) -> None:
    need_root()
    words = as_user(NOBODY, ["env", f"HOME={tmp_path}", *CLUSTER, "up"])
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        done.stderr
        == "a node needs root: it makes namespaces, mounts and cgroups (--no-node does without)\n"
    )


def test_what_is_no_image_is_refused_by_its_name(node: Node, tmp_path: Path) -> None:
    (tmp_path / "no-image.tar").write_bytes(b"not an archive")
    with pytest.raises(ImageError, match=r"no-image\.tar"):
        node.load(tmp_path / "no-image.tar")
