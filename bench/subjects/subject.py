"""What every subject has in common: how it is named, found, started, and where it then listens."""

import itertools
import os
import re
import shutil
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from bench.certificates import Certificates
from bench.children import Child, Children
from bench.errors import BenchError
from bench.machine import Placement
from bench.programs import Protocol

Family = Literal[
    "ours", "limit", "direct", "nginx", "haproxy", "nghttpx", "envoy", "traefik", "linkerd2-proxy"
]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a subject is put up: before which servers, speaking what, on which processor."""

    children: Children
    placement: Placement
    core: int
    protocol: Protocol
    servers: tuple[str, ...]
    passing: tuple[str, ...] = ()
    """Further servers, for subjects whose set of servers changes."""
    clients_tls: Certificates | None = None
    """Clients come over TLS."""
    tickets: bool = False
    """They are to get tickets, with which they can resume their sessions; each costs something to make."""
    servers_tls: Certificates | None = None
    """Servers are reached over TLS; each end proves who it is."""
    pair_tls: Certificates | None = None
    """The two of a pair speak TLS with each other."""

    def folder(self, name: str) -> Path:
        """A new folder for the subject's files."""
        return new_folder(self.children.folder, name)


@dataclass(frozen=True, slots=True)
class Running:
    """A subject that serves: the addresses to ask, and its processes (with their descendants)."""

    targets: tuple[str, ...]
    children: tuple[Child, ...] = ()
    admin: str = ""
    tap: str = ""
    """Where it may be tapped."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The leaders of its processes."""
        return tuple(child.pid for child in self.children)


def new_folder(parent: Path, name: str) -> Path:
    """One that does not exist yet."""
    names = (parent / f"{name}-{number}.d" for number in itertools.count())
    folder = next(folder for folder in names if not folder.exists())
    folder.mkdir(parents=True)
    return folder


class Subject(ABC):
    """Stands between client and server."""

    name: str
    family: Family

    @abstractmethod
    def missing(self) -> str | None:
        """Why it cannot be had here; None when it can."""

    @abstractmethod
    def version(self) -> str:
        """What is measured, in one word or two."""

    @abstractmethod
    def launch(self, site: Site) -> Running:
        """Start it, without waiting for it to listen where it will."""

    def start(self, site: Site) -> Running:
        """Start it; returns when it listens. BenchError when it does not come up."""
        running = self.launch(site)
        for target in running.targets:
            if running.children:
                running.children[0].wait_for_port(target)
        return running


class ForeignSubject(Subject):
    """A program of others: found on PATH, configured by a file, asked for its version."""

    @abstractmethod
    def program(self) -> str | None:
        """Where it is, if anywhere."""

    @abstractmethod
    def version_argv(self) -> Sequence[str]:
        """How it is asked for its version, without its name."""

    def missing(self) -> str | None:
        """Why it cannot be had here."""
        return None if self.program() else f"{self.family} is not installed"

    def version(self) -> str:
        """The first thing it says that looks like one."""
        return version_of(self.path(), *self.version_argv())

    def path(self) -> str:
        """Its program. BenchError when there is none."""
        if (path := self.program()) is None:
            raise BenchError(f"{self.name}: {self.missing()}")
        return path


def on_path(name: str) -> str | None:
    """Servers are often outside an ordinary user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


@cache
def version_of(*argv: str) -> str:
    """The first `1.2.3` in what it prints, which is not part of a path to it; "unknown" when it
    prints none.
    """
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    said = (done.stdout + done.stderr).replace(argv[0], "")
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found[0] if found else "unknown"


_hosts = itertools.count()


def free_address() -> str:
    """`host:port` for a program that cannot choose a port itself: on a loopback address of its own, where no
    client's local port can be in the way.
    """
    slice_number = os.getpid() % (64 * 256)
    host = f"127.{128 + slice_number // 256}.{slice_number % 256}.{next(_hosts) % 254 + 1}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"
