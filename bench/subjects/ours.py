"""Our own proxy, with everything on that is on by default: detection, discovery, balancing, metrics, headers."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.children import Child
from bench.discovery import AUTHORITY, PORT
from bench.native import ROOT
from bench.subjects.control_plane import control_plane
from bench.subjects.subject import Family, Running, Site, Subject, free_address, version_of
from linkerd2_py import __version__

_ARGV = (sys.executable, "-m", "linkerd2_py.proxy")


@dataclass(frozen=True, slots=True)
class Ours(Subject):
    """The outbound side before the servers, which it finds through the destination API.

    `updates`: changes of the set a second. `package`: a folder with another build of the package.
    """

    name: str = "ours"
    updates: int = 0
    package: Path | None = None
    family: Family = "ours"

    def missing(self) -> str | None:
        """Another build may not have been made."""
        if self.package is not None and not (self.package / "linkerd2_py").is_dir():
            return f"there is no build in {self.package.relative_to(ROOT)}"
        return None

    def version(self) -> str:
        """Of this tree."""
        return __version__

    def launch(self, site: Site) -> Running:
        """One local port that leads to the one service."""
        destination = control_plane(site, servers=site.servers, updates=self.updates)
        env = {"PYTHONPATH": str(self.package)} if self.package else {}
        return launch_outbound(self.name, site, destination=destination, env=env)


@dataclass(frozen=True, slots=True)
class Given(Subject):
    """A proxy by path that is configured as ours is; it has to listen where `OUTBOUND_STATIC_PORTS` says."""

    path: Path
    name: str = "linkerd2-proxy"
    family: Family = "linkerd2-proxy"

    def missing(self) -> str | None:
        """What was given may not be a program."""
        if self.path.is_file() and os.access(self.path, os.X_OK):
            return None
        return f"{self.path} is not a program"

    def version(self) -> str:
        """If it says so."""
        return version_of(str(self.path), "--version")

    def launch(self, site: Site) -> Running:
        """On one thread."""
        destination = control_plane(site, servers=site.servers)
        one_thread = {"LINKERD2_PROXY_CORES": "1"}
        return launch_outbound(
            self.name, site, destination=destination, env=one_thread, argv=(str(self.path),)
        )


@dataclass(frozen=True, slots=True)
class OursInbound(Subject):
    """The inbound side before the servers; it labels requests with the host they ask for."""

    name: str = "ours-inbound"
    family: Family = "ours"

    def missing(self) -> str | None:
        """Never."""
        return None

    def version(self) -> str:
        """Of this tree."""
        return __version__

    def launch(self, site: Site) -> Running:
        """One local port for each server."""
        return launch_inbound(self.name, site, INBOUND_METRICS_AUTHORITY_LABELS="unsafe")


@dataclass(frozen=True, slots=True)
class OursPair(Subject):
    """Two of our proxies in a row, as between two pods of a mesh: HTTP/1 to the first, HTTP/2 between them."""

    name: str = "ours-pair"
    family: Family = "ours"

    def missing(self) -> str | None:
        """Never."""
        return None

    def version(self) -> str:
        """Of this tree."""
        return __version__

    def launch(self, site: Site) -> Running:
        """The far one first: its ports are the endpoints that the near one discovers."""
        far = launch_inbound("ours-inbound", site)
        for target in far.targets:
            far.children[0].wait_for_port(target)
        destination = control_plane(site, servers=far.targets, meshed=True)
        near = launch_outbound("ours-outbound", site, destination=destination)
        return Running(near.targets, (*near.children, *far.children), admin=near.admin)


def launch_outbound(
    name: str,
    site: Site,
    *,
    destination: str,
    env: dict[str, str] | None = None,
    argv: tuple[str, ...] = _ARGV,
) -> Running:
    """A proxy with one local port that leads to the service."""
    address, admin = free_address(), free_address()
    settings = {
        "OUTBOUND_STATIC_PORTS": f"{address}={AUTHORITY}:{PORT}",
        "DESTINATION_SVC_ADDR": destination,
    }
    child = _launch(name, site, argv=argv, admin=admin, settings=settings, env=env or {})
    return Running((address,), (child,), admin=admin)


def launch_inbound(name: str, site: Site, **settings: str) -> Running:
    """A proxy with one inbound port for each server."""
    addresses, admin = tuple(free_address() for _ in site.servers), free_address()
    ports = zip(addresses, site.servers, strict=True)
    settings |= {"INBOUND_STATIC_PORTS": ",".join(f"{ours}={theirs}" for ours, theirs in ports)}
    child = _launch(name, site, argv=_ARGV, admin=admin, settings=settings, env={})
    return Running(addresses, (child,), admin=admin)


def _launch(
    name: str,
    site: Site,
    *,
    argv: tuple[str, ...],
    admin: str,
    settings: dict[str, str],
    env: dict[str, str],
) -> Child:
    common = {
        "IDENTITY_DISABLED": "1",
        "OUTBOUND_LISTEN_ADDR": free_address(),
        "INBOUND_LISTEN_ADDR": free_address(),
        "ADMIN_LISTEN_ADDR": admin,
    }
    variables = {f"LINKERD2_PROXY_{key}": value for key, value in (common | settings).items()}
    return site.children.start(name, argv, core=site.core, env=variables | env, mixed=True)
