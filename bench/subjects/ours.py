"""Our own proxy, with everything on that is on by default: detection, discovery, balancing,
metrics, headers.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.children import Child
from bench.discovery import AUTHORITY, PORT
from bench.errors import BenchError
from bench.native import ROOT
from bench.subjects.control_plane import control_plane
from bench.subjects.subject import Family, Running, Site, Subject, free_address, version_of
from linkerd2_py import __version__

_ARGV = (sys.executable, "-m", "linkerd2_py.proxy")
# Makes a key and a request to certify it, then becomes the proxy.
_IDENTIFIED_ARGV = (sys.executable, "-m", "linkerd2_py.proxy.pod.identity")
_NOBODY = {"IDENTITY_DISABLED": "1"}
# All of a benchmark comes from this machine.
_JUDGED = {"INBOUND_JUDGES_LOCALHOST": "1"}
# Plain text is refused: what is measured as TLS is TLS.
_AUTHENTICATED = {"INBOUND_DEFAULT_POLICY": "all-authenticated"}


class OfThisTree(Subject):
    """A proxy of this checkout."""

    def missing(self) -> str | None:
        """Never."""
        return None

    def version(self) -> str:
        """Of this tree."""
        return __version__


@dataclass(frozen=True, slots=True)
class Ours(OfThisTree):
    """The outbound side before the servers, which it finds through the destination API.

    `updates`: changes of the set a second. `package`: a folder with another build of the package. `mesh`: the
    template of what its requests follow.
    """

    name: str = "ours"
    updates: int = 0
    package: Path | None = None
    mesh: str = ""
    family: Family = "ours"

    def missing(self) -> str | None:
        """Another build may not have been made."""
        if self.package is not None and not (self.package / "linkerd2_py").is_dir():
            return f"there is no build in {self.package.relative_to(ROOT)}"
        return None

    def launch(self, site: Site) -> Running:
        """One local port that leads to the one service."""
        plane = control_plane(site, servers=site.servers, updates=self.updates, mesh=self.mesh)
        env = {"PYTHONPATH": str(self.package)} if self.package else {}
        settings = _NOBODY | plane.policy_for() if self.mesh else _NOBODY
        return launch_outbound(
            self.name, site, destination=plane.address, settings=settings, env=env
        )


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
        plane = control_plane(site, servers=site.servers)
        one_thread = {"LINKERD2_PROXY_CORES": "1"}
        return launch_outbound(
            self.name, site, destination=plane.address, env=one_thread, argv=(str(self.path),)
        )


@dataclass(frozen=True, slots=True)
class OursInbound(OfThisTree):
    """The inbound side before the servers; it labels requests with the host they ask for."""

    name: str = "ours-inbound"
    mesh: str = ""
    family: Family = "ours"

    def launch(self, site: Site) -> Running:
        """One local port for each server. A control plane only where there is somebody to certify, or
        something to say.
        """
        addresses = free_addresses(site)
        if self.mesh:
            plane = control_plane(site, servers=site.servers, mesh=self.mesh)
            settings = _NOBODY | _JUDGED | plane.policy_for()
            return launch_inbound(self.name, site, addresses=addresses, settings=settings)
        labels = {"INBOUND_METRICS_AUTHORITY_LABELS": "unsafe"}
        if (tls := site.clients_tls) is None:
            return launch_inbound(self.name, site, addresses=addresses, settings=labels | _NOBODY)
        plane = control_plane(site, servers=(), certificates=tls)
        settings = labels | _AUTHENTICATED | plane.identity_of(tls.server)
        return launch_inbound(self.name, site, addresses=addresses, settings=settings)


@dataclass(frozen=True, slots=True)
class OursTapped(OfThisTree):
    """The inbound side before the servers, which the client of its certificates may tap."""

    name: str = "ours-tapped"
    family: Family = "ours"

    def launch(self, site: Site) -> Running:
        """A site without certificates has nobody who could tap it. Traffic is in plain text all the same."""
        if (tls := site.pair_tls) is None:
            raise BenchError("nobody can prove who taps it")
        plane = control_plane(site, servers=(), certificates=tls)
        addresses, tap = free_addresses(site), free_address()
        settings = {"CONTROL_LISTEN_ADDR": tap, "TAP_SVC_NAME": tls.client.name}
        settings |= plane.identity_of(tls.server)
        running = launch_inbound(self.name, site, addresses=addresses, settings=settings)
        return replace(running, tap=tap)


@dataclass(frozen=True, slots=True)
class OursPair(OfThisTree):
    """Two of our proxies in a row, as between two pods of a mesh: HTTP/1 to the first, HTTP/2 between them,
    over TLS where the site says so.
    """

    name: str = "ours-pair"
    family: Family = "ours"

    def launch(self, site: Site) -> Running:
        """The far one first: its ports are the endpoints that the near one discovers."""
        addresses, tls = free_addresses(site), site.pair_tls
        plane = control_plane(site, servers=addresses, meshed=True, certificates=tls)
        far = launch_inbound(
            "ours-inbound",
            site,
            addresses=addresses,
            settings=_AUTHENTICATED | plane.identity_of(tls.server) if tls else _NOBODY,
        )
        for target in far.targets:
            far.children[0].wait_for_port(target)
        near = launch_outbound(
            "ours-outbound",
            site,
            destination=plane.address,
            settings=plane.identity_of(tls.client) if tls else _NOBODY,
        )
        return Running(near.targets, (*near.children, *far.children), admin=near.admin)


def launch_outbound(
    name: str,
    site: Site,
    *,
    destination: str,
    settings: Mapping[str, str] = _NOBODY,
    env: Mapping[str, str] | None = None,
    argv: tuple[str, ...] | None = None,
) -> Running:
    """A proxy with one local port that leads to the service."""
    address, admin = free_address(), free_address()
    ports = {
        "OUTBOUND_STATIC_PORTS": f"{address}={AUTHORITY}:{PORT}",
        "DESTINATION_SVC_ADDR": destination,
    }
    child = _launch(name, site, admin=admin, settings={**settings, **ports}, env=env, argv=argv)
    return Running((address,), (child,), admin=admin)


def launch_inbound(
    name: str, site: Site, *, addresses: tuple[str, ...], settings: Mapping[str, str]
) -> Running:
    """A proxy with one inbound port for each server."""
    admin = free_address()
    pairs = zip(addresses, site.servers, strict=True)
    ports = {"INBOUND_STATIC_PORTS": ",".join(f"{ours}={theirs}" for ours, theirs in pairs)}
    child = _launch(name, site, admin=admin, settings={**settings, **ports})
    return Running(addresses, (child,), admin=admin)


def free_addresses(site: Site) -> tuple[str, ...]:
    """One for each server."""
    return tuple(free_address() for _ in site.servers)


def _launch(
    name: str,
    site: Site,
    *,
    admin: str,
    settings: Mapping[str, str],
    env: Mapping[str, str] | None = None,
    argv: tuple[str, ...] | None = None,
) -> Child:
    common = {
        "OUTBOUND_LISTEN_ADDR": free_address(),
        "INBOUND_LISTEN_ADDR": free_address(),
        "ADMIN_LISTEN_ADDR": admin,
    }
    variables = {f"LINKERD2_PROXY_{key}": value for key, value in {**common, **settings}.items()}
    argv = argv or (_ARGV if "IDENTITY_DISABLED" in settings else _IDENTIFIED_ARGV)
    env = {**variables, **(env or {})}
    return site.children.start(name, argv, core=site.core, env=env, mixed=True)
