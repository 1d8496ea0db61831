"""etcd, kube-apiserver and kube-controller-manager on this machine's loopback: a cluster without a node.

Everything an API server does is real; pods stay pending, and whoever wants them running writes their status.
Beside a node (`tests.support.cluster.node`) the same programs run in the node's network instead.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from tests.support.cluster import programs
from tests.support.cluster.keys import SERVICE_RANGE, Keys
from tests.support.wait import eventually_async, patience

# On a machine with thirty others at work the API server takes most of a minute.
START_LIMIT_S: Final = 180.0
# In a node's network nobody else listens.
NODE_PORT: Final = 6443
_POLL_S: Final = 0.1
_END_LIMIT_S: Final = 20.0


class StartError(Exception):
    """A program of the cluster ended, or did not become ready; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Network:
    """Of a node that the control plane has: `words` before a command run it there. The node is at `address`,
    and services get theirs from `service_ranges`; from this machine the API server is reached at `door`.
    """

    words: Sequence[str]
    address: str
    service_ranges: str
    door: str


class ControlPlane:
    """Runs below `root` until closed. Raises `StartError`, with nothing left running.

    Without `controllers` everything stays as it was written: no owner is missed, no node is waited for, and
    slices are those that somebody wrote. The API server listens at `address`, or everywhere in `network`.
    """

    def __init__(
        self,
        root: Path,
        *,
        controllers: bool = True,
        address: str = "127.0.0.1",
        network: Network | None = None,
    ) -> None:
        self.root = root
        self.address = address if network is None else network.address
        self._network = network
        self._logs = root / "log"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._bin = programs.build()
        self.keys = Keys(root / "keys", address=self.address)
        self._running = ExitStack()
        try:
            self._start()
            if controllers:
                self._controllers()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every program, last started first. May be repeated."""
        self._running.close()

    def kubeconfig_of(self, user: str) -> Path:
        """For somebody who may do what roles allow, and is in no group of importance."""
        return self.keys.kubeconfig(user, group="people", server=self.server)

    def _start(self) -> None:
        if self._network is None:
            port = self._running.enter_context(_held_port(self.address))
            self.server = self.inside = f"https://{self.address}:{port}"
            flags = self._alone_flags(port)
        else:
            self.server = f"https://{self._network.door}"
            self.inside = f"https://127.0.0.1:{NODE_PORT}"
            flags = self._node_flags(self._network)
        self.kubeconfig = self.keys.kubeconfig("admin", group="system:masters", server=self.server)
        etcd = self._etcd()
        apiserver = self._program("kube-apiserver", *self._apiserver_flags(etcd=etcd), *flags)
        self._wait(apiserver, name="kube-apiserver", ready=self._api_is_ready)

    def _etcd(self) -> str:
        """Its address for clients: a socket in the folder that both run in, which nobody else can take."""
        # It insists on the form host:port, and makes that the name of the file.
        clients = "unix://etcd:0"
        flags = (
            "--name=test",
            f"--data-dir={self.root}/etcd",
            # What a power failure would lose is a test's.
            "--unsafe-no-fsync",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--initial-advertise-peer-urls=http://127.0.0.1:0",
            "--initial-cluster=test=http://127.0.0.1:0",
            "--log-level=warn",
        )
        self._program("etcd", *flags)
        return clients

    def _alone_flags(self, port: int) -> tuple[str, ...]:
        return (
            f"--bind-address={self.address}",
            f"--secure-port={port}",
            # The port is held for it by a socket of ours.
            "--permit-port-sharing",
            # Loopback is refused as the address of a service's endpoint.
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--authorization-mode=RBAC",
        )

    def _node_flags(self, network: Network) -> tuple[str, ...]:
        self.keys.client("kubelet-client", user="kube-apiserver", group="system:masters")
        return (
            "--bind-address=0.0.0.0",
            f"--secure-port={NODE_PORT}",
            f"--advertise-address={network.address}",
            f"--service-cluster-ip-range={network.service_ranges}",
            # A kubelet writes what concerns its own node and pods, and no more.
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={self.keys.path('kubelet-client.crt')}",
            f"--kubelet-client-key={self.keys.path('kubelet-client.key')}",
            f"--kubelet-certificate-authority={self.keys.path('ca.crt')}",
            "--kubelet-preferred-address-types=InternalIP",
        )

    def _apiserver_flags(self, *, etcd: str) -> tuple[str, ...]:
        path = self.keys.path
        return (
            f"--etcd-servers={etcd}",
            f"--tls-cert-file={path('apiserver.crt')}",
            f"--tls-private-key-file={path('apiserver.key')}",
            f"--client-ca-file={path('ca.crt')}",
            "--allow-privileged",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={path('service-accounts.key')}",
            f"--service-account-signing-key-file={path('service-accounts.key')}",
            # Whom an aggregated API server is to believe when told who asks.
            f"--requestheader-client-ca-file={path('front-ca.crt')}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={path('front.crt')}",
            f"--proxy-client-key-file={path('front.key')}",
        )

    def _controllers(self) -> None:
        user = "system:kube-controller-manager"
        config = self.keys.kubeconfig(user, group="system:masters", server=self.inside)
        self._program(
            "kube-controller-manager",
            f"--kubeconfig={config}",
            "--leader-elect=false",
            "--secure-port=0",
            f"--root-ca-file={self.keys.path('ca.crt')}",
            f"--service-account-private-key-file={self.keys.path('service-accounts.key')}",
        )

    def _program(self, name: str, *flags: str) -> subprocess.Popen[bytes]:
        words = self._network.words if self._network else ()
        with (self._logs / f"{name}.log").open("wb") as log:
            # Whatever becomes of us, nothing outlives us.
            running = subprocess.Popen(
                ["setpriv", "--pdeathsig=SIGKILL", *words, str(self._bin / name), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.root,
            )
        self._running.callback(_end, running)
        return running

    def _wait(
        self, running: subprocess.Popen[bytes], *, name: str, ready: Callable[[], bool]
    ) -> None:
        deadline = time.monotonic() + START_LIMIT_S * patience()
        while not ready():
            if running.poll() is not None:
                raise StartError(f"{name} ended with {running.returncode}:\n{self._end_of(name)}")
            if time.monotonic() > deadline:
                raise StartError(
                    f"{name} is not ready after {START_LIMIT_S:g} s:\n{self._end_of(name)}"
                )
            time.sleep(_POLL_S)

    def _api_is_ready(self) -> bool:
        trusted = ssl.create_default_context(cafile=str(self.keys.path("ca.crt")))
        try:
            with urllib.request.urlopen(
                f"{self.server}/readyz", context=trusted, timeout=5
            ) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _end_of(self, name: str) -> str:
        log = (self._logs / f"{name}.log").read_text(errors="replace")
        return "\n".join(log.splitlines()[-20:])


@contextlib.contextmanager
def _held_port(address: str) -> Iterator[int]:
    """A port that only a program which shares ports can listen on while this lasts."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((address, 0))
        yield holder.getsockname()[1]


def _end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(_END_LIMIT_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


async def hung_up(server: str) -> None:
    """Wait until this process has no connection to an API server: those by TLS end a moment after they were
    closed, and only while the loop runs.
    """
    port = int(server.rpartition(":")[2])

    def connected() -> bool:
        # Without a peer the address is empty.
        peers = [tuple(one.raddr) for one in psutil.Process().net_connections("tcp")]
        return any(port in peer for peer in peers)

    await eventually_async(lambda: not connected())
