"""The first process of a node: makes the place habitable, keeps programs running, and buries orphans.

python -m tests.support.cluster.node.pid1 ROOT

It says `ready` when mounts and network are as programs need them, then reads one line: programs by their
names, as JSON. It ends when it is killed, and everything here with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.support.cluster.keys import SERVICE_RANGE, SERVICE_RANGE_6
from tests.support.cluster.node import cgroups
from tests.support.cluster.node.machine import ADDRESS, ADDRESS_6, HOSTNAME, has_ipv6

# A kubelet writes these, or ends: it is shown files that have what it wants, and the machine keeps its own.
_SHOWN: Final = {
    "vm/overcommit_memory": "1",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# What is written below these stays the node's: a CNI's configuration and programs, a runtime's folders.
_OWN: Final = ("/etc", "/opt", "/var/lib")
_AGAIN_S: Final = 1.0


def main(root: Path) -> None:
    """Never returns."""
    # /proc is still the machine's: this is our number there.
    number = Path("/proc/self").readlink().name
    _sh("mount", "--make-rshared", "/")
    _sh("mount", "-t", "proc", "proc", "/proc")
    _mount_system()
    _mount_folders(root)
    _show_settings(root)
    _sh("hostname", HOSTNAME)
    _network()
    (root / "pid").write_text(number)
    print("ready", flush=True)
    programs = json.loads(sys.stdin.readline() or "{}")
    _keep(programs, logs=root / "log")


def _mount_system() -> None:
    """/sys of our network, and the cgroups below ours alone."""
    _sh("umount", "-R", "-l", "/sys")
    _sh("mount", "-t", "sysfs", "sysfs", "/sys")
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    kinds = [kind for kind in (line.split(":")[1] for line in lines) if kind]
    if not kinds:
        _mount_unified()
        return
    _sh("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(cgroups.ROOT))
    for kind in kinds:
        folder = cgroups.ROOT / kind.removeprefix("name=")
        folder.mkdir()
        what = f"none,{kind}" if kind.startswith("name=") else kind
        _sh("mount", "-t", "cgroup", "-o", what, "cgroup", str(folder))


def _mount_unified() -> None:
    _sh("mount", "-t", "cgroup2", "cgroup2", str(cgroups.ROOT))
    # One that has children with controllers has no processes of its own.
    own = cgroups.ROOT / "init"
    own.mkdir()
    (own / "cgroup.procs").write_text(str(os.getpid()))
    names = (cgroups.ROOT / "cgroup.controllers").read_text().split()
    (cgroups.ROOT / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in names))


def _mount_folders(root: Path) -> None:
    for folder in _OWN:
        upper, work = (root / kind / folder.replace("/", "-")[1:] for kind in ("own", "own.work"))
        for one in (upper, work):
            one.mkdir(parents=True, exist_ok=True)
        layers = f"lowerdir={folder},upperdir={upper},workdir={work}"
        _sh("mount", "-t", "overlay", "-o", layers, "overlay", folder)
    _sh("mount", "--bind", str(root / "log"), "/var/log")
    _sh("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    Path("/run/lock").mkdir()


def _show_settings(root: Path) -> None:
    for name, value in _SHOWN.items():
        shown = root / "shown" / name.replace("/", ".")
        shown.parent.mkdir(exist_ok=True)
        shown.write_text(value)
        _sh("mount", "--bind", str(shown), f"/proc/sys/{name}")


def _network() -> None:
    """An address that is not loopback, and a route to services, which is looked for before rules send packets
    on. Both ends of the pair stay here, and there is no way out.
    """
    commands = [
        "link set lo up",
        "link add eth0 type veth peer name far",
        "link set far up",
        "link set eth0 up",
        f"address add {ADDRESS}/24 dev eth0",
        f"route add {SERVICE_RANGE} dev eth0",
    ]
    if has_ipv6():
        commands += [
            f"address add {ADDRESS_6}/64 dev eth0 nodad",
            f"route add {SERVICE_RANGE_6} dev eth0",
        ]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)
    settings = {"ipv4/ip_forward", "ipv6/conf/all/forwarding"}
    settings |= {f"bridge/bridge-nf-call-{kind}" for kind in ("iptables", "ip6tables")}
    for setting in settings:
        path = Path("/proc/sys/net", setting)
        if path.exists():
            path.write_text("1")


def _keep(programs: dict[str, list[str]], *, logs: Path) -> None:
    """Start them, and again whoever ends; every other process whose parent ended is ours to wait for."""
    # A program that is told to end is told by whoever started us, all at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running = {_start(name, words, logs=logs): name for name, words in programs.items()}
    while True:
        try:
            number, _status = os.wait()
        except ChildProcessError:
            signal.pause()
            continue
        name = running.pop(number, None)
        if name is not None:
            time.sleep(_AGAIN_S)
            running[_start(name, programs[name], logs=logs)] = name


def _start(name: str, words: list[str], *, logs: Path) -> int:
    # Not by `subprocess`, which waits for children of its own accord, and would hide an end from us.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(logs / f"{name}.log"), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawnp(words[0], words, os.environ, file_actions=actions)


def _sh(*words: str) -> None:
    subprocess.run(words, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
