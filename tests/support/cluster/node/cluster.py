"""A whole cluster of one node: the control plane in the node's network, the node's programs, DNS."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.support.cluster import programs
from tests.support.cluster.control_plane import (
    NODE_PORT,
    START_LIMIT_S,
    ControlPlane,
    Network,
    StartError,
)
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.node import door, images, names, settings
from tests.support.cluster.node.machine import (
    ADDRESS,
    ADDRESS_6,
    HOSTNAME,
    PLUGINS,
    REPOSITORY,
    Machine,
    MachineError,
    has_ipv6,
)
from tests.support.wait import patience

PAUSE: Final = "linkerd2-py.test/pause:1"
COREDNS: Final = "linkerd2-py.test/coredns:1"
_POLL_S: Final = 0.1


LONGEST_ROOT: Final = 107 - len("/kubelet/pod-resources/1234567890")
"""A kubelet whose socket has a longer path than the kernel takes ends and is started again, for ever."""


class NodeCluster:
    """Runs below `root` until closed. Raises `StartError` or `BuildError`, with nothing left running."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._running = ExitStack()
        try:
            self._start()
        except MachineError as error:
            self.close()
            raise StartError(str(error)) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End everything, and forget what the node held. May be repeated."""
        self._running.close()

    def _start(self) -> None:
        if len(str(self.root)) > LONGEST_ROOT:
            raise StartError(
                f"{self.root} is too long a path for the sockets of a kubelet: at most {LONGEST_ROOT} bytes"
            )
        kubernetes, tools = programs.build(), programs.TOOLS.build()
        self._forget()
        _lay_out_cni(self.root)
        self._machine = Machine(self.root)
        self._running.callback(self._machine.close)
        network = Network(
            words=self._machine.words("--net"),
            address=ADDRESS,
            service_ranges=settings.service_ranges(),
            door=self._open_door(),
        )
        self.control_plane = ControlPlane(self.root, network=network)
        self._running.callback(self.control_plane.close)
        # The machine goes first: its end is every pod's, and nobody is left who holds on to the API server.
        self._running.callback(self._machine.close)
        self.kubeconfig = self.control_plane.kubeconfig
        self._start_programs(kubernetes)
        self._bring_in(tools)
        self._wait()

    def _forget(self) -> None:
        """What an earlier one held, that nobody was left to remove."""
        for name in ("etcd", "containerd", "kubelet", "own", "own.work", "log"):
            shutil.rmtree(self.root / name, ignore_errors=True)

    def _open_door(self) -> str:
        words = ["setpriv", "--pdeathsig=SIGKILL", sys.executable, "-m", door.__name__]
        namespace = self._machine.namespace("net")
        with (self.root / "log" / "door.log").open("w") as log:
            running = subprocess.Popen(
                [*words, str(namespace), str(NODE_PORT)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=REPOSITORY,
            )
        self._running.callback(_end, running)
        said = running.stdout.readline().strip() if running.stdout else ""
        if not said:
            raise StartError(
                f"no door into the node's network: {_end_of(self.root / 'log' / 'door.log')}"
            )
        return f"127.0.0.1:{said}"

    def _start_programs(self, kubernetes: Path) -> None:
        plane = self.control_plane
        addresses = [ADDRESS, *([ADDRESS_6] if has_ipv6() else [])]
        plane.keys.serving("kubelet", HOSTNAME, "localhost", "127.0.0.1", *addresses)
        groups = {f"system:node:{HOSTNAME}": "system:nodes"}
        users = {
            "kubelet": f"system:node:{HOSTNAME}",
            "kube-proxy": "system:kube-proxy",
            "kube-scheduler": "system:kube-scheduler",
        }
        configs = {
            name: plane.keys.kubeconfig(user, group=groups.get(user, "nodes"), server=plane.inside)
            for name, user in users.items()
        }
        settings.write(
            self.root,
            {
                "containerd.toml": settings.containerd(self.root, pause=PAUSE),
                "kubelet.yaml": settings.kubelet(self.root, keys=plane.keys.folder),
                "kube-proxy.yaml": settings.kube_proxy(kubeconfig=configs["kube-proxy"]),
                "resolv.conf": "",
            },
        )
        self._machine.start(
            settings.commands(self.root, kubernetes=kubernetes, kubeconfigs=configs)
        )

    def _bring_in(self, tools: Path) -> None:
        self._until("containerd", lambda: images.is_ready(self.root))
        for name, program in ((PAUSE, "pause"), (COREDNS, "coredns")):
            archive = self.root / f"{program}.tar"
            images.write(archive, name, {program: tools / program}, entry=[f"/{program}"])
            images.load(self.root, archive)
            archive.unlink()

    def _wait(self) -> None:
        """Until a pod of it runs and answers for names."""
        kubectl = Kubectl(self.kubeconfig)
        kubectl.apply(*names.objects(COREDNS))
        available = ("wait", "--for=condition=Available", "--timeout=1s", "deployment/coredns")
        self._until(
            "kubelet", lambda: kubectl.try_(*available, "--namespace=kube-system").returncode == 0
        )

    def _until(self, program: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_LIMIT_S * patience()
        while not ready():
            if time.monotonic() > deadline:
                said = _end_of(self.root / "log" / f"{program}.log")
                raise StartError(f"{program}: not ready after {START_LIMIT_S:g} s:\n{said}")
            time.sleep(_POLL_S)


def _lay_out_cni(root: Path) -> None:
    """The node's own /etc and /opt have its CNI, where everybody looks for it."""
    settings.write(root / "own", {f"{settings.CNI_CONFIG[1:]}/10-pods.conflist": settings.cni()})
    plugins = root / "own" / settings.CNI_PROGRAMS[1:]
    plugins.mkdir(parents=True)
    for program in PLUGINS.iterdir():
        (plugins / program.name).symlink_to(program)


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def _end(running: subprocess.Popen[str]) -> None:
    running.kill()
    running.communicate()
