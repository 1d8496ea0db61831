"""The process behind a local mesh: a control plane, all workloads, all proxies.

Composition only. It runs until SIGTERM or SIGINT, follows mesh.yaml, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from linkerd2_py import __version__
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import cancel_all, spawn, supervise
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.edits import POLL_S, follow_file, stamp
from linkerd2_py.controlplane.errors import IssuerError
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.certifier import DEFAULT_LIFETIME, Validity
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.identity.identity import IdentitySettings
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.local.place.env import base_env
from linkerd2_py.controlplane.local.place.identity import Issuance, PodIdentities
from linkerd2_py.controlplane.local.place.loopback.place import LoopbackPlace
from linkerd2_py.controlplane.local.place.place import AddressError, Place
from linkerd2_py.controlplane.local.place.transparent.node import Node
from linkerd2_py.controlplane.local.place.transparent.place import NamespacePlace
from linkerd2_py.controlplane.local.place.transparent.programs import NetworkError
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.programs.of_pod import Surroundings
from linkerd2_py.controlplane.local.state import owned
from linkerd2_py.controlplane.local.state.owned import StateError
from linkerd2_py.controlplane.local.state.state_dir import State, StateDir, started_at
from linkerd2_py.controlplane.local.supervise.control_plane import ControlPlane, StartControlPlane
from linkerd2_py.controlplane.local.supervise.fleet import Fleet
from linkerd2_py.controlplane.local.supervise.health import local_checks
from linkerd2_py.controlplane.local.supervise.pod import PodRunner
from linkerd2_py.controlplane.local.supervise.prometheus import (
    MISSING,
    LocalPrometheus,
    ScrapeFiles,
    is_installed,
)
from linkerd2_py.controlplane.local.supervise.remarks import remarks_on
from linkerd2_py.controlplane.local.supervise.reports import Report, ReportPipe
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.local.mesh_file import MeshFileError, load_mesh_file
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec
from linkerd2_py.controlplane.sources.local.source import LocalSource

logger = logging.getLogger(__name__)

LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""A log that has grown beyond this is started over, so that a forgotten mesh cannot fill a disk."""
LOG_CHECK_S: Final = 10.0
READY: Final = "ready"


class StartError(Exception):
    """The mesh cannot be started at all; each line of the text is one reason."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line decides."""

    mesh_file: Path
    cwd: Path
    state_dir: StateDir
    start_limit_s: float = 60.0
    transparent: bool = False
    issuer: IssuerFiles | None = None
    issuance_lifetime: timedelta = DEFAULT_LIFETIME
    own_prometheus: bool = False
    prometheus_url: str = ""
    """Of one that runs already."""

    def identity(self, tokens: WorkloadTokens) -> IdentitySettings:
        """Who certifies the mesh: an issuer that is thrown away with it unless there are files."""
        issuer = self.issuer or throw_away(TrustDomain(), now=SystemClock().wall())[0]
        validity = Validity(lifetime=self.issuance_lifetime)
        return IdentitySettings(issuer=issuer, tokens=tokens, validity=validity)


class Supervisor:
    """One running mesh, from `run` to its end; `source` fills `store`, over which the control plane is
    started.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reports: ReportPipe,
        store: MeshStore,
        source: LocalSource,
        start_control_plane: StartControlPlane,
    ) -> None:
        self._settings = settings
        self._start_control_plane = start_control_plane
        self._reports = reports
        self._stop = asyncio.Event()
        self._store = store
        self._source = source
        self._tokens = WorkloadTokens()
        self._label = ""
        self._told: dict[str, str] = {}
        self._refused_edit = ""
        self._remarks: list[str] = []
        self._anchors = b""
        self._state: State | None = None
        self._fleet: Fleet | None = None
        self._prometheus: LocalPrometheus | None = None

    async def run(self) -> None:
        """Start, tell how that went, follow the file, stop. StartError if nothing could start."""
        self._listen_for_signals()
        file_stamp = stamp(self._settings.mesh_file)
        mesh = _load(self._settings.mesh_file)
        async with AsyncExitStack() as ending:
            guard = Guard()
            ending.callback(guard.close)
            guard.stand_by()
            place = await self._open_place(guard=guard, ending=ending)
            self._label = place.label
            if self._settings.own_prometheus:
                self._prometheus = self._make_prometheus(guard)
            plane = await self._start_plane(place=place, guard=guard)
            ending.push_async_callback(plane.stop)
            ending.callback(self._settings.state_dir.remove_state)
            self._reports.send(Report("step", "control plane"))
            self._begin_scrapes(plane, ending=ending)
            identities = self._open_identities(plane, guard=guard, place=place)
            ending.callback(identities.close)
            around = self._surroundings(
                plane=plane, guard=guard, place=place, identities=identities
            )
            fleet = Fleet(
                source=self._source,
                place=place,
                around=around,
                on_change=self._on_change,
            )
            await self._run_mesh(mesh, plane=plane, fleet=fleet, file_stamp=file_stamp)

    async def _run_mesh(
        self,
        mesh: MeshSpec,
        *,
        plane: ControlPlane,
        fleet: Fleet,
        file_stamp: tuple[int, int, int] | None,
    ) -> None:
        self._fleet = fleet
        self._anchors = plane.anchors
        mesh_file = self._settings.mesh_file
        following = [
            supervise(
                partial(follow_file, mesh_file, since=file_stamp, on_edit=self._on_edit),
                name="mesh-file",
            ),
            supervise(self._trim_logs, name="trim-logs"),
            supervise(partial(self._follow_anchors, plane, fleet=fleet), name="trust-anchors"),
        ]
        try:
            self._begin(mesh, plane=plane)
            await self._start_up(fleet)
            await self._stop.wait()
        finally:
            await cancel_all(following)
            await fleet.stop()

    async def _open_place(self, *, guard: Guard, ending: AsyncExitStack) -> Place:
        """Where pods will live; whatever ends this process, nothing of it stays. StartError if refused."""
        if not self._settings.transparent:
            loopback = LoopbackPlace()
            ending.push_async_callback(loopback.close)
            return loopback
        try:
            return await self._open_namespaces(guard=guard, ending=ending)
        except (NetworkError, StateError, OSError) as error:
            raise StartError(f"network: {error}") from error

    async def _open_namespaces(self, *, guard: Guard, ending: AsyncExitStack) -> Place:
        state_dir, node = self._settings.state_dir, await Node.open()
        sweep = (sys.executable, "-m", "linkerd2_py.controlplane.local.place.transparent.sweep")
        guard.call_at_end([*sweep, node.subnet.label, str(state_dir.etc)])
        ending.callback(guard.call_at_end, [])
        place = NamespacePlace(node, state_dir=state_dir)
        ending.push_async_callback(place.close)
        await node.start(self._store)
        self._reports.send(Report("step", f"network {node.subnet.v4}, {node.subnet.v6}"))
        return place

    def _checks(self, guard: Guard) -> list[CheckResult]:
        if self._fleet is None:
            return []
        own = self._prometheus.container if self._prometheus else None
        return local_checks(
            refused_edit=self._refused_edit,
            remarks=self._remarks,
            fleet=self._fleet,
            guard=guard,
            prometheus=own,
        )

    @property
    def _prometheus_url(self) -> str:
        return self._prometheus.url if self._prometheus else self._settings.prometheus_url

    def _make_prometheus(self, guard: Guard) -> LocalPrometheus:
        env = base_env()
        if not is_installed(env):
            raise StartError(MISSING)
        try:
            return LocalPrometheus(
                self._settings.state_dir,
                guard=guard,
                clock=SystemClock(),
                env=env,
                on_change=self._on_change,
            )
        except AddressError as error:
            raise StartError(str(error)) from error

    def _begin_scrapes(self, plane: ControlPlane, *, ending: AsyncExitStack) -> None:
        """Tell a Prometheus what there is, and start it if it is ours."""
        if not self._prometheus_url:
            return
        files = ScrapeFiles(
            self._settings.state_dir.prometheus, store=self._store, url=self._prometheus_url
        )
        try:
            files.open(public_api=plane.public_api)
        except StateError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            raise StartError(f"{error.filename}: {error.strerror}") from error
        ending.callback(files.close)
        if self._prometheus:
            self._prometheus.start()
            ending.push_async_callback(self._prometheus.stop)
            self._reports.send(Report("step", f"prometheus {self._prometheus.url}"))

    async def _start_plane(self, *, place: Place, guard: Guard) -> ControlPlane:
        try:
            return await self._start_control_plane(
                proxy_api=place.proxy_api,
                networks=place.networks,
                identity=self._settings.identity(self._tokens),
                prometheus=self._prometheus_url,
                tap_token=self._settings.state_dir.new_tap_token(),
                further_checks=lambda: self._checks(guard),
            )
        except (OSError, StateError) as error:
            raise StartError(f"control plane: {error}") from error
        except IssuerError as error:
            raise StartError(f"identity: {error}") from error

    def _open_identities(self, plane: ControlPlane, *, guard: Guard, place: Place) -> PodIdentities:
        """Where proxies keep what they prove with who they are; whatever ends this process, nothing of it
        stays.
        """
        folder = self._settings.state_dir.identity
        issuance = Issuance(plane.proxy_api, tokens=self._tokens, anchors=lambda: plane.anchors)
        identities = PodIdentities(folder, issuance=issuance, uid=place.proxy_uid)
        try:
            identities.open()
        except StateError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            raise StartError(f"{folder}: cannot be created: {error.strerror}") from error
        guard.remove_at_end(folder)
        return identities

    def _surroundings(
        self,
        *,
        plane: ControlPlane,
        guard: Guard,
        place: Place,
        identities: PodIdentities,
    ) -> Surroundings:
        return Surroundings(
            guard=guard,
            clock=SystemClock(),
            state_dir=self._settings.state_dir,
            identities=identities,
            proxy_api=plane.proxy_api,
            env=base_env(),
            cwd=self._settings.cwd,
            proxy_uid=place.proxy_uid,
        )

    async def _start_up(self, fleet: Fleet) -> None:
        """Wait until the start has ended one way or the other, unless told to stop first."""
        settled = spawn(fleet.wait_settled(limit_s=self._settings.start_limit_s), name="start")
        stopped = spawn(self._stop.wait(), name="stop")
        await asyncio.wait({settled, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await cancel_all([stopped, settled])
        if self._stop.is_set():
            self._reports.send(Report("failed", "told to stop while starting"))
        elif fleet.problems:
            self._reports.send(Report("failed", "\n".join(fleet.problems)))
        else:
            self._reports.send(Report("ready"))

    async def _on_edit(self) -> None:
        """Follow an edit; one that cannot be followed is reported and changes nothing."""
        try:
            # Beside the loop: a large file takes seconds, in which proxies and people ask.
            mesh = await asyncio.to_thread(load_mesh_file, self._settings.mesh_file)
            self._apply(mesh)
        except (MeshFileError, AddressError, OSError) as error:
            self._refused_edit = "; ".join(str(error).splitlines())
            for line in str(error).splitlines():
                self._report_problem(f"{line} (the last good mesh stays)")
            return
        self._refused_edit = ""
        logger.info(
            "%s was edited: now %d workloads", self._settings.mesh_file, len(mesh.workloads)
        )
        self._reports.send(Report("step", f"{self._settings.mesh_file.name} reloaded"))
        self._refresh_state(mesh)

    async def _follow_anchors(self, plane: ControlPlane, *, fleet: Fleet) -> None:
        """A proxy trusts what it was started with: when other anchors are in force, all are started again."""
        while True:
            await asyncio.sleep(POLL_S)
            anchors = plane.anchors
            if anchors != self._anchors:
                logger.info(
                    "other trust anchors are in force: pods start again, one after the other"
                )
                fleet.renew()
                self._anchors = anchors

    def _begin(self, mesh: MeshSpec, *, plane: ControlPlane) -> None:
        """StartError if there is no place for the mesh or for what it says of itself."""
        root = self._settings.state_dir.root
        try:
            self._apply(mesh)
            self._write_state(mesh, plane=plane)
        except AddressError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            raise StartError(f"{error.filename or root}: {error.strerror}") from error

    def _apply(self, mesh: MeshSpec) -> None:
        if self._fleet is not None:
            self._fleet.apply(mesh)
            self._remarks = remarks_on(mesh, transparent=self._settings.transparent)

    def _on_change(self) -> None:
        """Tell about pods that became ready or failed, whenever that is news."""
        if self._fleet is None:
            return
        states = {pod.plan.name: _state_of(pod) for pod in self._fleet.pods}
        if self._prometheus and self._prometheus.container.crash_looping:
            states["prometheus"] = f"prometheus: {self._prometheus.container.problem}"
        states["ingress"] = "; ".join(self._fleet.closed_doors)
        for name, state in states.items():
            if state and state != self._told.get(name):
                self._tell(name, state=state)
        # A pod that is neither keeps what was told of it; one that is gone may come back as news.
        told = self._told | {name: state for name, state in states.items() if state}
        self._told = {name: state for name, state in told.items() if name in states}

    def _tell(self, name: str, *, state: str) -> None:
        if state == READY:
            self._reports.send(Report("step", f"pod {name}"))
        else:
            self._report_problem(state)

    def _report_problem(self, text: str) -> None:
        logger.warning("%s", text)
        self._reports.send(Report("problem", text))

    def _write_state(self, mesh: MeshSpec, *, plane: ControlPlane) -> None:
        self._state = State(
            version=__version__,
            pid=os.getpid(),
            public_api=plane.public_api,
            dashboard=plane.dashboard,
            proxy_api=plane.local_api,
            mesh_file=str(self._settings.mesh_file),
            namespace=mesh.namespace,
            started=SystemClock().wall(),
            pid_started=started_at(os.getpid()) or 0,
            network=self._label,
            prometheus=self._prometheus_url,
        )
        self._refresh_state(mesh)

    def _refresh_state(self, mesh: MeshSpec) -> None:
        if self._state is None or self._fleet is None:
            return
        links = self._fleet.ingress.links
        self._state = replace(self._state, namespace=mesh.namespace, links=links)
        self._settings.state_dir.write(self._state)

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            for path in self._settings.state_dir.logs.glob("*.log"):
                _trim(path)

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, self._stop.set)


def _trim(path: Path) -> None:
    with contextlib.suppress(OSError, StateError):
        fd = owned.open_file(path, os.O_WRONLY)
        try:
            if os.fstat(fd).st_size > LOG_LIMIT_BYTES:
                os.ftruncate(fd, 0)
        finally:
            os.close(fd)


def _state_of(pod: PodRunner) -> str:
    """`READY`, the line that says why it is not, or nothing while it is on its way."""
    if pod.ready:
        return READY
    told = pod.problem and (pod.failed or pod.stalled)
    return f"pod {pod.plan.name}: {pod.problem}" if told else ""


def _load(path: Path) -> MeshSpec:
    try:
        return load_mesh_file(path)
    except MeshFileError as error:
        raise StartError(str(error)) from error
