"""The cluster: a lab of network namespaces whose router has the API server, and a host for each pod.

Nothing but the test writes objects: pods are what it says they are, and slices have what it puts there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from linkerd2_py.base.clock import SystemClock
from tests.support.certificates import Signer
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl
from tests.support.interop import workload
from tests.support.interop.control_planes import (
    Controllers,
    Flags,
    destination_words,
    identity_words,
)
from tests.support.interop.proxies import (
    Account,
    ControlPlaneAt,
    Make,
    PodProxy,
    environment,
    write_identity,
)
from tests.support.netlab import Host, NetLab, net_lab, redirect

SHOP: Final = "shop"
START_S: Final = 30.0
Object = dict[str, Any]
# Who asks for its first certificate has none to show; Linkerd's chart says so of both pods.
_OPEN: Final = {"config.linkerd.io/default-inbound-policy": "all-unauthenticated"}


class KubectlThere(Kubectl):
    """kubectl on a host of the lab."""

    def __init__(self, kubeconfig: Path, *, host: Host) -> None:
        super().__init__(kubeconfig)
        self._host = host

    def try_(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        with self._host.entered():
            return super().try_(*words, stdin=stdin)


@dataclass(eq=False)
class Pod:
    """One that runs; `proxy` is none where it is not meshed."""

    name: str
    host: Host
    account: Account
    proxies: list[PodProxy] = field(default_factory=list)

    @property
    def proxy(self) -> PodProxy:
        return self.proxies[-1]

    def entered(self) -> AbstractContextManager[None]:
        """What is connected in the block is connected by a program of this pod."""
        return self.host.entered()


class Cluster:
    """See the module. `answers` says whose control plane it has, `policy` whose policy controller."""

    def __init__(self, lab: NetLab, *, api: ControlPlane, flags: Flags, anchors: str) -> None:
        self.lab = lab
        self.flags = flags
        self.kubectl = KubectlThere(api.kubeconfig, host=lab.router)
        self._anchors = anchors
        self._api_port = api.server.rpartition(":")[2]
        self._at = ControlPlaneAt("", "", anchors)
        install_crds(self.kubectl)
        spaces = (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": one}}
            for one in ("linkerd", SHOP)
        )
        self.kubectl.apply(*spaces)
        self.kubectl.apply(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}},
            # Linkerd's controller takes a cluster without any for one that knows none.
            _slice("kubernetes", namespace="default", ports={"https": int(self._api_port)}),
        )

    def start_control_plane(self, answers: Make, *, proxy: Make, policy: Make) -> None:
        """Both its pods, with a proxy of this make beside the controllers."""
        ignored = ("--outbound-ports-to-ignore", self._api_port)
        pods = {}
        for name in ("linkerd-identity", "linkerd-destination"):
            pods[name] = self._prepared(
                name,
                namespace="linkerd",
                account=name,
                proxy=proxy,
                annotations=_OPEN,
                flags=ignored,
            )
        first, second = pods.values()
        self._at = ControlPlaneAt(second.host.v4, first.host.v4, self._anchors)
        self._lease_owner()
        self.identity = Controllers(first.host, identity_words(answers, self.flags))
        words = destination_words(answers, self.flags, policy=policy)
        self.destination = Controllers(second.host, words)
        self.identity_pod, self.destination_pod = first, second
        self._start_proxy(first, proxy, IDENTITY_SVC_ADDR="localhost.:8080")
        beside = {"DESTINATION_SVC_ADDR": "localhost.:8086", "POLICY_SVC_ADDR": "localhost.:8090"}
        self._start_proxy(second, proxy, **beside)
        for pod in pods.values():
            pod.proxy.wait_ready()

    def pod(
        self,
        name: str,
        *,
        proxy: Make | None = None,
        account: str = "default",
        annotations: Mapping[str, str] | None = None,
        **settings: str,
    ) -> Pod:
        """One more in the namespace `shop`: its proxy is ready and its program serves."""
        if proxy:
            # Nothing is made for one that is not here.
            proxy.words()
        pod = self._prepared(
            name, namespace=SHOP, account=account, proxy=proxy, annotations=annotations
        )
        words = [sys.executable, "-m", "tests.support.interop.workload", name]
        program = pod.host.start(words, log="workload")
        if proxy:
            self._start_proxy(pod, proxy, **settings)
            pod.proxy.wait_ready()
        program.wait_for_line(workload.READY, deadline_s=START_S)
        return pod

    def service(
        self,
        name: str,
        *pods: Pod,
        ports: Mapping[int, int],
        annotations: Mapping[str, str] | None = None,
    ) -> str:
        """A service of these pods, from its ports to theirs; its address."""
        made = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": SHOP, "annotations": dict(annotations or {})},
            "spec": {"ports": [_port(one, target) for one, target in ports.items()]},
        }
        self.kubectl.apply(made)
        self.serve(name, *pods, ports=ports)
        found = self.kubectl("get", "service", name, f"--namespace={SHOP}", "--output=json")
        return str(json.loads(found)["spec"]["clusterIP"])

    def serve(self, name: str, *pods: Pod, ports: Mapping[int, int]) -> None:
        """From now on these, and nobody else, serve it."""
        made = _slice(name, *pods, ports={f"p{one}": target for one, target in ports.items()})
        self.kubectl.apply(made)

    def _prepared(
        self,
        name: str,
        *,
        namespace: str,
        account: str,
        proxy: Make | None,
        annotations: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
    ) -> Pod:
        """The pod's host with its rules, and the objects that say that it runs."""
        host = self.lab.host(name)
        told = _account(account, namespace)
        self.kubectl.apply(
            told, _pod(name, host, account=told, proxy=proxy, annotations=annotations)
        )
        self.kubectl.apply_status(_pod_status(name, namespace, ip=host.v4))
        words = ("create", "token", account, f"--namespace={namespace}")
        token = self.kubectl(*words, "--audience=identity.l5d.io").strip()
        if proxy:
            redirect(host, *flags)
        return Pod(name, host, Account(namespace, account, token))

    def _start_proxy(self, pod: Pod, make: Make, **settings: str) -> None:
        folder = self.lab.folder / f"identity-{pod.name}"
        write_identity(folder, pod.account)
        environ = environment(pod.name, pod.host, account=pod.account, at=self._at, folder=folder)
        if pod.account.namespace == SHOP:
            environ["LINKERD2_PROXY_INBOUND_DEFAULT_POLICY"] = self.flags.default_policy
        environ |= {f"LINKERD2_PROXY_{name}": text for name, text in settings.items()}
        given = {name: text for name, text in environ.items() if text}
        pod.proxies.append(PodProxy(pod.host, make, environ=given))

    def _lease_owner(self) -> None:
        """Linkerd's policy controller owns its Lease by this."""
        labels = {"app": "linkerd-destination"}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "policy", "image": "none"}]},
        }
        self.kubectl.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "linkerd-destination", "namespace": "linkerd"},
                "spec": {"selector": {"matchLabels": labels}, "template": template},
            }
        )


@contextmanager
def cluster(
    folder: Path,
    *,
    transport_mode: str = "transparent",
    default_policy: str = "all-unauthenticated",
) -> Iterator[Cluster]:
    """A lab with a running API server, and nobody's control plane yet."""
    with net_lab(folder) as lab:
        with lab.router.entered():
            api = ControlPlane(folder / "cluster", controllers=False, address=lab.router.v4)
        with closing(api):
            issuer, trust_roots, anchors = _authorities(folder)
            flags = Flags(api.kubeconfig, issuer, trust_roots, transport_mode, default_policy)
            yield Cluster(lab, api=api, flags=flags, anchors=anchors)


def _authorities(folder: Path) -> tuple[Path, Path, str]:
    """The folders of the issuer and of the anchors, and these."""
    now = SystemClock().wall() - 60
    root = Signer("root.linkerd.cluster.local", starts=now)
    issuer = Signer("identity.linkerd.cluster.local", by=root, starts=now)
    places = folder / "issuer", folder / "trust-roots"
    for place in places:
        place.mkdir()
    (places[0] / "crt.pem").write_bytes(issuer.pem)
    (places[0] / "key.pem").write_bytes(issuer.key_pem)
    (places[1] / "ca-bundle.crt").write_bytes(root.pem)
    return *places, root.pem.decode()


def _port(port: int, target: int) -> Object:
    return {"name": f"p{port}", "port": port, "targetPort": target}


def _slice(name: str, *pods: Pod, ports: Mapping[str, int], namespace: str = SHOP) -> Object:
    """Of the service of this name."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [_endpoint(pod) for pod in pods],
        "ports": [{"name": one, "port": port, "protocol": "TCP"} for one, port in ports.items()],
    }


def _endpoint(pod: Pod) -> Object:
    return {
        "addresses": [pod.host.v4],
        "conditions": {"ready": True},
        "nodeName": "node-a",
        "targetRef": {"kind": "Pod", "name": pod.name, "namespace": pod.account.namespace},
    }


def _account(name: str, namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    }


def _pod(
    name: str,
    host: Host,
    *,
    account: Object,
    proxy: Make | None,
    annotations: Mapping[str, str] | None,
) -> Object:
    about = account["metadata"]
    ports = [{"containerPort": port, "name": said} for said, port in workload.PORTS.items()]
    containers = [{"name": "app", "image": "none", "ports": ports}]
    meshed = {"linkerd.io/control-plane-ns": "linkerd"} if proxy else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": about["namespace"],
            "labels": {"app": name, **meshed},
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "serviceAccountName": about["name"],
            "automountServiceAccountToken": False,
            "nodeName": "node-a",
            "containers": [*containers, *([_PROXY] if proxy else [])],
        },
    }


_PROXY: Final[Object] = {
    "name": "linkerd-proxy",
    "image": "none",
    "env": [
        {"name": "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "value": "0.0.0.0:4191"},
        {"name": "LINKERD2_PROXY_CONTROL_LISTEN_ADDR", "value": "0.0.0.0:4190"},
        {"name": "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "value": "0.0.0.0:4143"},
    ],
    "ports": [
        {"name": "linkerd-proxy", "containerPort": 4143},
        {"name": "linkerd-admin", "containerPort": 4191},
    ],
    # What probes ask for is let in under every policy.
    "livenessProbe": {"httpGet": {"path": "/live", "port": 4191}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 4191}},
}


def _pod_status(name: str, namespace: str, *, ip: str) -> Object:
    since = "2026-01-01T00:00:00Z"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "hostIP": "10.77.0.1",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}],
        },
    }
