"""A place that looks like a machine of its own: namespaces of every kind but of users, and cgroups.

Its network is joined to nothing: packet filter rules, bridges and addresses are its own, and two of them run
beside each other. When its first process ends, so does everything in it, and the kernel takes its network and
mounts away.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.cluster.node import cgroups

# Where the node is to itself and to its pods, in both families.
ADDRESS: Final = "172.31.255.1"
ADDRESS_6: Final = "fd00:31:255::1"
HOSTNAME: Final = "node"
PLUGINS: Final = Path("/usr/lib/cni")
# What is needed and may be missing, by the Debian package that has it.
_PROGRAMS: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
}
_NAMESPACES: Final = ("--net", "--mount", "--pid", "--uts", "--ipc", "--cgroup")
_READY: Final = "ready\n"
REPOSITORY: Final = Path(__file__).parents[4]


class MachineError(Exception):
    """There can be no such place here; the message says why."""


def why_not() -> str:
    """What keeps a node from running on this machine; empty when nothing does."""
    if os.geteuid() != 0:
        return "a node needs root: it makes namespaces, mounts and cgroups"
    missing = {package for program, package in _PROGRAMS.items() if not shutil.which(program)}
    if not (PLUGINS / "bridge").exists():
        missing.add("containernetworking-plugins")
    if missing:
        words = " ".join(sorted(missing))
        return f"a node needs Debian packages: apt-get install --no-install-recommends {words}"
    tried = subprocess.run(
        ["unshare", *_NAMESPACES, "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        return f"a node needs namespaces and mounts, which are refused here: {tried.stderr.strip()}"
    try:
        cgroups.remove(cgroups.make(f"l5d-try-{os.getpid()}"))
    except OSError as error:
        return f"a node needs cgroups of its own, which are refused here: {error}"
    return ""


def has_ipv6() -> bool:
    """Whether pods and services have addresses of both families."""
    return Path("/proc/net/if_inet6").exists()


class Machine:
    """Runs below `root` until closed. Raises `MachineError`, with nothing left running.

    `programs` are kept running in it from `start` on, by their names: one that ends is started again, as a
    machine's own init would.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        reason = why_not()
        if reason:
            raise MachineError(reason)
        (root / "log").mkdir(parents=True, exist_ok=True)
        self._forget_earlier()
        self._cgroups = cgroups.make(f"l5d-node-{secrets.token_hex(4)}")
        (root / "cgroups").write_text("\n".join(map(str, self._cgroups)))
        try:
            self._first = self._enter()
        except BaseException:
            cgroups.remove(self._cgroups)
            raise
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def start(self, programs: Mapping[str, Sequence[str]]) -> None:
        """Keep these running."""
        assert self._first.stdin is not None
        self._first.stdin.write(json.dumps({name: list(words) for name, words in programs.items()}))
        self._first.stdin.write("\n")
        self._first.stdin.flush()

    def words(self, *kinds: str) -> list[str]:
        """What to put before a command so that it runs in namespaces of these kinds, or in all of them."""
        return entered(self.root, *kinds)

    def namespace(self, kind: str) -> Path:
        """The file that is one of its namespaces."""
        return Path("/proc", (self.root / "pid").read_text(), "ns", kind)

    def close(self) -> None:
        """End everything in it. May be repeated."""
        self._first.kill()
        self._first.wait()
        for pipe in (self._first.stdin, self._first.stdout):
            if pipe is not None:
                pipe.close()
        cgroups.remove(self._cgroups)
        (self.root / "cgroups").unlink(missing_ok=True)
        (self.root / "pid").unlink(missing_ok=True)

    def _forget_earlier(self) -> None:
        """One that was killed with its keeper had nobody to remove its cgroups."""
        left = self.root / "cgroups"
        if left.exists():
            cgroups.remove([Path(line) for line in left.read_text().splitlines()])

    def _enter(self) -> subprocess.Popen[str]:
        """Start its first process, by way of `unshare`, whose end it does not outlive."""
        # A process is in its cgroups before it has a namespace of them: that makes them the root.
        join = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
        first = [sys.executable, "-m", "tests.support.cluster.node.pid1", str(self.root)]
        unshare = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--propagation=private"]
        with (self.root / "log" / "machine.log").open("w") as log:
            return subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig=SIGKILL"),
                    *("sh", "-c", join, "sh", *map(str, self._cgroups), "--"),
                    *(*unshare, *first),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=REPOSITORY,
                start_new_session=True,
            )

    def _wait(self) -> None:
        assert self._first.stdout is not None
        if self._first.stdout.readline() != _READY:
            self._first.wait()
            said = (self.root / "log" / "machine.log").read_text().strip()
            raise MachineError(f"the node's namespaces cannot be set up: {said}")


def entered(root: Path, *kinds: str) -> list[str]:
    """As `Machine.words`, of the machine that runs at `root`."""
    # The number of its first process as everybody else sees it.
    number = (root / "pid").read_text().strip()
    return [
        "nsenter",
        f"--target={number}",
        *(kinds or ("--mount", "--net", "--pid", "--uts", "--ipc")),
    ]
