"""`linkerd2-py cni` on a node: its agent in front of a real API server, its plugin behind Debian's own ones, and
rules in namespaces of pods that a runtime sets up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.kubectl import Kubectl
from tests.support.cni import PluginError, Runtime, arguments, build_launcher, need_plugins
from tests.support.netns import as_user, inside, namespace
from tests.support.privileges import need_root
from tests.support.processes import Child
from tests.support.wait import eventually, patience

pytestmark = pytest.mark.timeout(300)

START_S = 60.0
PROXY_UID = 2102
ENTRY = {
    "name": "linkerd-cni",
    "type": "linkerd-cni",
    "log_level": "info",
    "linkerd": {"proxy-uid": PROXY_UID, "iptables-mode": "nft", "ipv6": True},
}
LIST = """{"cniVersion": "1.0.0", "name": "pods",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": false,
     "ipam": {"type": "host-local", "dataDir": "%s",
              "ranges": [[{"subnet": "10.78.0.0/24"}], [{"subnet": "fd78::/64"}]]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}]}
"""
VALIDATE = (
    *(sys.executable, "-m", "linkerd2_py.proxy.pod.validator"),
    *("--timeout", f"{int(5 * patience())}s"),
)


class Node:
    """Folders of a node, its runtime, and an agent at a time."""

    def __init__(self, folder: Path, *, network: str, kubeconfig: Path, kubectl: Kubectl) -> None:
        self.folder = folder
        self.programs, self.lists = folder / "bin", folder / "net.d"
        self.programs.mkdir()
        self.lists.mkdir()
        self.entry = folder / "config" / "cni_network_config"
        self.entry.parent.mkdir()
        self.entry.write_text(json.dumps(ENTRY))
        self.list = self.lists / "10-bridge.conflist"
        self.list.write_text(LIST % (folder / "ipam"))
        self.image = folder / "image"
        self.image.mkdir()
        build_launcher(self.image, socket=folder / "agent.sock")
        self.runtime = Runtime(self.programs, self.lists, network)
        self.kubectl = kubectl
        self._kubeconfig = kubeconfig
        self._agents = 0

    def agent(self, *words: str, daemon_set: str = "linkerd-cni") -> Child:
        """A process of the DaemonSet's pod."""
        self._agents += 1
        log = self.folder / f"agent-{self._agents}.log"
        argv = [
            *(sys.executable, "-m", "linkerd2_py.cli.main", "cni"),
            *("--kubeconfig", str(self._kubeconfig), "--namespace", "linkerd-cni"),
            *("--bin-dir", str(self.programs), "--net-dir", str(self.lists)),
            *("--daemonset", daemon_set),
            *("--launcher", str(self.image / "linkerd-cni"), "--network-config", str(self.entry)),
            *("--socket", str(self.folder / "agent.sock"), "--admin-addr", "127.0.0.1:0", *words),
        ]
        child = Child.start(argv, log=log)
        admin = child.wait_for_line(r"admin listens on (\S+)", deadline_s=START_S).group(1)

        def is_ready() -> bool:
            return httpx2.get(f"http://{admin}/ready", trust_env=False, timeout=30).is_success

        eventually(is_ready, deadline_s=START_S, what=f"{child} is ready")
        return child

    def pod(self, name: str, *, notes: dict[str, str] | None = None, **spec: Any) -> dict[str, str]:
        """The arguments that a runtime gives for a pod of the API server."""
        containers = [{"name": "app", "image": "x"}, proxy_container()]
        self.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "shop", "annotations": notes or {}},
                "spec": {"containers": containers, "nodeName": "node-1", **spec},
            }
        )
        uid = self.kubectl(
            "get", "pod", name, "--namespace=shop", "--output=jsonpath={.metadata.uid}"
        )
        return {"K8S_POD_NAMESPACE": "shop", "K8S_POD_NAME": name, "K8S_POD_UID": uid}


def proxy_container() -> dict[str, Any]:
    return {
        "name": "linkerd-proxy",
        "image": "x",
        "securityContext": {"runAsUser": PROXY_UID},
        "env": [{"name": "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "value": "[::]:4143"}],
    }


@pytest.fixture(scope="module")
def shop(control_plane: ControlPlane, kubectl: Kubectl) -> Kubectl:
    kubectl("create", "namespace", "shop")
    kubectl("create", "namespace", "linkerd-cni")
    kubectl(
        *("annotate", "namespace", "shop"),
        "config.linkerd.io/skip-outbound-ports=3306,6000-6010",
    )
    # Nobody runs pods here, and so nobody makes the account that they have.
    eventually(
        lambda: (
            kubectl.try_("get", "serviceaccount", "default", "--namespace=shop").returncode == 0
        ),
        deadline_s=START_S,
        what="the account of pods",
    )
    return kubectl


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    return Kubectl(control_plane.kubeconfig)


@pytest.fixture
def node(tmp_path: Path, control_plane: ControlPlane, shop: Kubectl) -> Iterator[Node]:
    need_root()
    need_plugins(("bridge", "portmap", "host-local"))
    with namespace(label="node") as network:
        inside(network, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        yield Node(tmp_path, network=network, kubeconfig=control_plane.kubeconfig, kubectl=shop)


@pytest.fixture
def daemon_set(shop: Kubectl) -> Iterator[None]:
    """The DaemonSet, which is there for as long as the CNI plugin is installed."""
    labels = {"app": "linkerd-cni"}
    shop.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "linkerd-cni", "namespace": "linkerd-cni"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "x", "image": "x"}]},
                },
            },
        }
    )
    yield
    shop("delete", "daemonset", "linkerd-cni", "--namespace=linkerd-cni", "--ignore-not-found")


def rules(netns: str, family: str = "iptables") -> list[str]:
    saved = inside(netns, f"{family}-nft-save", "-t", "nat").stdout.splitlines()
    return [line for line in saved if line.startswith("-A") and "proxy-init" in line]


def validate(netns: str) -> None:
    """As the pod's own validator does."""
    inside(netns, *as_user(2103, VALIDATE))


def test_a_pod_without_an_init_container_is_redirected(node: Node) -> None:
    before = node.list.read_bytes()
    with node.agent() as agent, namespace(label="web") as web:
        assert [one["type"] for one in node.runtime.network()["plugins"]] == [
            *("bridge", "portmap", "linkerd-cni")
        ]
        args = node.pod("web", notes={"config.linkerd.io/skip-inbound-ports": "9000"})
        result = node.runtime.add("c-1", web, **args)
        # What the plugins before us have found is what the kubelet hears.
        assert [one["address"].split(".")[0] for one in result["ips"][:1]] == ["10"]
        assert len(result["interfaces"]) == 3
        for family in ("iptables", "ip6tables"):
            text = "\n".join(rules(web, family))
            assert "--dports 4190,4191,9000 " in text
            assert "--dports 3306,6000:6010 " in text
            assert f"--uid-owner {PROXY_UID} " in text
            assert "--to-ports 4143" in text
            assert "--to-ports 4140" in text
        validate(web)
        node.runtime.check("c-1", web, **args)
        once = rules(web)
        # A kubelet that did not hear the answer asks again.
        node.runtime.run(
            *("ADD", ENTRY, node.runtime.network()),
            container="c-1",
            netns=web,
            more={"prevResult": result},
            args=args,
        )
        assert rules(web) == once
        inside(web, "iptables-nft", "-t", "nat", "-D", "PROXY_INIT_OUTPUT", "2")
        with pytest.raises(PluginError, match="IPv4 lacks proxy-init/ignore-loopback") as caught:
            node.runtime.check("c-1", web, **args)
        assert caught.value.code == 101
        node.runtime.delete("c-1", web, **args)
        assert agent.terminate(deadline_s=START_S) == 0
    # There is no DaemonSet: this was the end.
    assert node.list.read_bytes() == before
    assert list(node.lists.iterdir()) == [node.list]
    assert not list(node.programs.iterdir())


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [{"name": "app", "image": "x"}]},
        {"initContainers": [{"name": "linkerd-init", "image": "x"}]},
    ],
    ids=["no-proxy", "init-container"],
)
def test_other_pods_get_a_network_and_no_rules(node: Node, spec: dict[str, Any]) -> None:
    name = "plain" if "containers" in spec else "with-init"
    with node.agent(), namespace(label="plain") as plain:
        args = node.pod(name, **spec)
        assert node.runtime.add("c-1", plain, **args)["ips"]
        assert rules(plain) == []
        # Somebody who is not Kubernetes uses the same list.
        node.runtime.delete("c-1", plain, **args)
        assert node.runtime.add("c-2", plain)["ips"]
        node.runtime.delete("c-2", plain)


def test_no_pod_comes_up_without_an_agent_and_all_do_when_it_is_back(
    node: Node, daemon_set: None
) -> None:
    with namespace(label="web") as web:
        args = node.pod("waits")
        with node.agent() as first:
            # The DaemonSet is there: another agent will come, and until then pods wait.
            assert first.terminate(deadline_s=START_S) == 0
        with pytest.raises(PluginError, match="pods wait for it") as caught:
            node.runtime.add("c-1", web, **args)
        assert caught.value.code == 11
        assert rules(web) == []
        node.runtime.delete("c-1", web, **args)
        with node.agent() as second:
            node.runtime.add("c-1", web, **args)
            assert len(rules(web)) == 8
            node.runtime.delete("c-1", web, **args)
            second.process.kill()
            second.process.wait()
        # One that was killed has left its socket.
        with pytest.raises(PluginError, match="pods wait for it"):
            node.runtime.add("c-2", web, **args)
        node.runtime.delete("c-2", web, **args)
        node.kubectl("delete", "daemonset", "linkerd-cni", "--namespace=linkerd-cni")
        with node.agent() as last:
            assert last.terminate(deadline_s=START_S) == 0
        assert node.list.read_text() == LIST % (node.folder / "ipam")


def test_an_agent_takes_over_from_another_without_a_gap(node: Node, daemon_set: None) -> None:
    """As in a rolling update: the socket is never away, and the older one takes nothing along."""
    with namespace(label="web") as web, node.agent() as old:
        args = node.pod("rolls")
        with node.agent() as new:
            assert old.terminate(deadline_s=START_S) == 0
            node.runtime.add("c-1", web, **args)
            assert rules(web)
            node.runtime.delete("c-1", web, **args)
            assert new.process.poll() is None


def test_lists_that_the_clusters_own_plugin_writes_again_get_our_entry_again(node: Node) -> None:
    with node.agent():
        for mtu in (1400, 1401, 1402):
            found = json.loads(LIST % (node.folder / "ipam"))
            found["plugins"][0]["mtu"] = mtu
            text = json.dumps(found)
            # Not at once, as a program that knows nothing of us may write it.
            with node.list.open("w") as file:
                file.write(text[: len(text) // 2])
                file.flush()
                os.fsync(file.fileno())
                file.write(text[len(text) // 2 :])
            eventually(
                lambda: node.runtime.network()["plugins"][-1]["type"] == "linkerd-cni",
                deadline_s=START_S,
                what="our entry",
            )
            assert node.runtime.network()["plugins"][0]["mtu"] == mtu


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            *("bad-port", "80,http"),
            "annotation config.linkerd.io/skip-inbound-ports of the pod: 'http' is not a port",
        ),
        ("bad-escape", "\x1b[2J", "of the pod: '\\\\x1b[2J' is not a port"),
    ],
)
def test_a_pod_that_cannot_be_understood_does_not_start(
    node: Node, name: str, value: str, told: str
) -> None:
    with node.agent(), namespace(label="bad") as bad:
        args = node.pod(name, notes={"config.linkerd.io/skip-inbound-ports": value})
        with pytest.raises(PluginError) as caught:
            node.runtime.add("c-1", bad, **args)
        assert told in str(caught.value.answer["msg"]).replace("\\x", "\\\\x")
        assert caught.value.code == 100
        assert rules(bad) == []


def test_pods_that_are_not_what_the_runtime_thinks(node: Node) -> None:
    with node.agent(), namespace(label="odd") as odd:
        network = node.runtime.network()
        args = node.pod("again")

        def ask(netns: str = odd, **more: str) -> PluginError:
            with pytest.raises(PluginError) as caught:
                node.runtime.run("ADD", ENTRY, network, netns=netns, args={**args, **more})
            return caught.value

        assert "not found" in ask(K8S_POD_NAME="nobody").answer["msg"]
        # A pod of a StatefulSet was deleted, and another has its name.
        assert "is another one by now" in ask(K8S_POD_UID="older").answer["msg"]
        assert ask(netns="").code == 4
        # Rules in the node's own network would cut it off.
        words = {**os.environ, "CNI_COMMAND": "ADD", "CNI_NETNS": "/proc/self/ns/net"}
        words["CNI_ARGS"] = arguments(args)
        done = subprocess.run(
            [node.programs / "linkerd-cni"],
            input=json.dumps({**ENTRY, "cniVersion": "1.0.0"}),
            env=words,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "the network of the node itself" in json.loads(done.stdout)["msg"]
        assert node.runtime.run("STATUS", ENTRY, network) is None


def test_pods_whose_validator_failed_are_made_anew(node: Node) -> None:
    """By their owner: they are deleted, with an event. One without owner is left, and told about."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "early", "namespace": "shop"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "early"}},
            "template": early_pod(app="early"),
        },
    }
    alone = {
        "apiVersion": "v1",
        "kind": "Pod",
        **early_pod(app="alone"),
    }
    alone["metadata"] |= {"name": "alone", "namespace": "shop"}
    kubectl = node.kubectl
    kubectl.apply(owner, alone)

    def names() -> list[str]:
        words = ("get", "pods", "--namespace=shop", "-l", "app=early", "-o", "name")
        return kubectl(*words).split()

    (first,) = eventually(names, deadline_s=START_S, what="a pod of the ReplicaSet")
    for name in (first, "pod/alone"):
        fail_validator(kubectl, name)
    with node.agent("--repair", "--node-name", "node-1"):
        eventually(
            lambda: names() not in ([], [first]), deadline_s=START_S, what="another pod is there"
        )

        def events() -> dict[str, str]:
            words = ("get", "events.events.k8s.io", "--namespace=shop", "--output=json")
            found = json.loads(kubectl(*words))["items"]
            ours = [one for one in found if one["reason"] == "LinkerdCNINotConfigured"]
            return {one["regarding"]["name"]: one["type"] for one in ours}

        eventually(lambda: len(events()) == 2, deadline_s=START_S, what="both events")
        assert events() == {first.removeprefix("pod/"): "Normal", "alone": "Warning"}
        assert kubectl("get", "pod/alone", "--namespace=shop", "-o", "name") == "pod/alone\n"


def early_pod(*, app: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": app, "linkerd.io/control-plane-ns": "linkerd"}},
        "spec": {
            "nodeName": "node-1",
            "initContainers": [{"name": "linkerd-network-validator", "image": "x"}],
            "containers": [{"name": "app", "image": "x"}, proxy_container()],
        },
    }


def fail_validator(kubectl: Kubectl, name: str) -> None:
    """As a kubelet tells it."""
    terminated = {"exitCode": 95, "reason": "Error"}
    status = {
        "phase": "Pending",
        "initContainerStatuses": [
            {
                "name": "linkerd-network-validator",
                "ready": False,
                "restartCount": 1,
                "image": "x",
                "imageID": "",
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": terminated},
            }
        ],
    }
    patch = json.dumps({"status": status})
    kubectl("patch", name, "--namespace=shop", "--subresource=status", "--type=merge", "-p", patch)
