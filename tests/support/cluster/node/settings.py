"""What the programs of a node are told: one function a file or a command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from tests.support.cluster.keys import SERVICE_RANGE, SERVICE_RANGE_6
from tests.support.cluster.node.machine import ADDRESS, ADDRESS_6, HOSTNAME, has_ipv6

POD_RANGE: Final = "10.244.0.0/16"
POD_RANGE_6: Final = "fd00:10:244::/64"
# Where the cluster's DNS answers: every pod is told so.
DNS_SERVICE: Final = "10.96.0.10"
DOMAIN: Final = "cluster.local"
SOCKET: Final = "/run/containerd/containerd.sock"
# As on an ordinary node: who chains a CNI plugin of their own looks here.
CNI_CONFIG: Final = "/etc/cni/net.d"
CNI_PROGRAMS: Final = "/opt/cni/bin"
_PLENTY: Final = ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available")


def both(four: str, six: str) -> str:
    """Those of both families, where there are both."""
    return f"{four},{six}" if has_ipv6() else four


def service_ranges() -> str:
    return both(SERVICE_RANGE, SERVICE_RANGE_6)


def containerd(root: Path, *, pause: str) -> str:
    """TOML. Its images and containers are below `root`, for a layer cannot stand on a layered folder."""
    return f"""\
version = 2
root = "{root}/containerd"
state = "/run/containerd"
# Who may not lower how soon it is killed for memory cannot start with less than it has.
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs",
                    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # The same, for what containers ask.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PROGRAMS}"
    conf_dir = "{CNI_CONFIG}"
"""


def cni() -> str:
    """A bridge, addresses of each family, and ports of the node for pods that want them."""
    ranges = [[{"subnet": POD_RANGE}], *([[{"subnet": POD_RANGE_6}]] if has_ipv6() else [])]
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "isDefaultGateway": True,
        # A pod may reach itself by the address of its service.
        "hairpinMode": True,
        "ipam": {"type": "host-local", "dataDir": "/run/cni-addresses", "ranges": ranges},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]})


def kubelet(root: Path, *, keys: Path) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            # It would rather not run where cgroups are of version 1.
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "failSwapOn": False,
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(keys / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(keys / "kubelet.crt"),
            "tlsPrivateKeyFile": str(keys / "kubelet.key"),
            "clusterDNS": [DNS_SERVICE],
            "clusterDomain": DOMAIN,
            # There is no DNS beyond the cluster's.
            "resolvConf": str(root / "resolv.conf"),
            "volumePluginDir": str(root / "volume-plugins"),
            # The disk and the memory are everybody's here: how much is left is no reason to end pods.
            "evictionHard": dict.fromkeys(_PLENTY, "0%"),
            "imageGCHighThresholdPercent": 100,
            "enforceNodeAllocatable": [],
            "localStorageCapacityIsolation": False,
            # Volumes of ConfigMaps and Secrets follow within this, not within a minute and more.
            "syncFrequency": "10s",
            "maxPods": 250,
        }
    )


def kube_proxy(*, kubeconfig: Path) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": both(POD_RANGE, POD_RANGE_6),
            "hostnameOverride": HOSTNAME,
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            # How much the kernel remembers of connections is the machine's to say.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
    )


def commands(
    root: Path, *, kubernetes: Path, kubeconfigs: Mapping[str, Path]
) -> dict[str, list[str]]:
    """What runs on the node, by name."""
    scheduler = str(kubeconfigs["kube-scheduler"])
    return {
        "containerd": ["containerd", f"--config={root}/containerd.toml"],
        "kubelet": [
            f"{kubernetes}/kubelet",
            f"--kubeconfig={kubeconfigs['kubelet']}",
            f"--config={root}/kubelet.yaml",
            f"--root-dir={root}/kubelet",
            f"--hostname-override={HOSTNAME}",
            f"--node-ip={both(ADDRESS, ADDRESS_6)}",
        ],
        "kube-proxy": [f"{kubernetes}/kube-proxy", f"--config={root}/kube-proxy.yaml"],
        "kube-scheduler": [
            f"{kubernetes}/kube-scheduler",
            f"--kubeconfig={scheduler}",
            f"--authentication-kubeconfig={scheduler}",
            f"--authorization-kubeconfig={scheduler}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ],
    }


def write(root: Path, files: Mapping[str, str]) -> None:
    """Files below a folder, by their names."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
