"""The Prometheus of a local mesh: what it is told to scrape, in files that follow the mesh, and the program
itself where it is ours to run.

Its history stays in the state directory, so that it outlives the mesh. Somebody else's Prometheus may read
the same files.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.names import CONTROL_PLANE_NAMESPACE, owner_label
from linkerd2_py.base.tasks import cancel_all, report_failure, supervise
from linkerd2_py.charts.observe.dashboards.boards import dashboards
from linkerd2_py.charts.observe.rules import groups
from linkerd2_py.charts.observe.scraping import jobs, meta_labels
from linkerd2_py.controlplane.local.place.loopback.addresses import PortPicker
from linkerd2_py.controlplane.local.programs.container import Container
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.programs.process import Program
from linkerd2_py.controlplane.local.state import owned
from linkerd2_py.controlplane.local.state.state_dir import StateDir
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import Pod
from linkerd2_py.controlplane.mesh.store import MeshStore

PROGRAM: Final = "prometheus"
MISSING: Final = (
    "prometheus is not installed (Debian: apt-get install prometheus); "
    "--prometheus-url uses one that runs already"
)
HOST: Final = "127.0.0.1"
PREFERRED_PORT: Final = 9090
INTERVAL_S: Final = 2
"""As often as the scraper of the embedded store, so that the same windows have the same samples."""
LOOKBACK: Final = "15s"
"""How old the newest value of a gauge may be. What the last mesh of this folder has left behind is nobody's
any more after that.
"""
RETENTION: Final = ("--storage.tsdb.retention.time=15d", "--storage.tsdb.retention.size=1GB")
_GRACE_S: Final = 5.0

logger = logging.getLogger(__name__)


class ScrapeFiles:
    """`prometheus.yml`, `rules.yml` and the targets for the Prometheus at `url`, and the dashboards of a
    Grafana that has its data from there, in a folder of the state directory; from `open` to `close` the
    targets are those of the mesh.
    """

    def __init__(self, folder: Path, *, store: MeshStore, url: str) -> None:
        self._folder = folder
        self._store = store
        self._url = url
        self._written = ""

    @property
    def config(self) -> Path:
        """What a Prometheus is started with."""
        return self._folder / "prometheus.yml"

    def open(self, *, public_api: str) -> None:
        """StateError or OSError if the folder is not ours to write in."""
        owned.make(self._folder)
        _write(self._folder / "rules.yml", yaml.safe_dump(groups(), sort_keys=False, width=200))
        _write(self.config, yaml.safe_dump(self._config(), sort_keys=False))
        _write(self._folder / "controllers.json", json.dumps([_controller(public_api)]))
        self._write_dashboards()
        self._write_proxies()
        self._subscription = self._store.subscribe(self._on_changes)

    def _write_dashboards(self) -> None:
        """For a Grafana whose GF_PATHS_PROVISIONING is the folder `provisioning`."""
        boards, provisioning = self._folder / "dashboards", self._folder / "provisioning"
        for folder in (boards, provisioning / "dashboards", provisioning / "datasources"):
            folder.mkdir(parents=True, exist_ok=True)
        for board in dashboards():
            _write(boards / f"{board.uid}.json", json.dumps(board.written(), indent=1))
        provider = {"name": "linkerd", "type": "file", "options": {"path": str(boards)}}
        source = {"name": "linkerd", "type": "prometheus", "access": "proxy", "url": self._url}
        for kind, said in (
            ("dashboards", {"providers": [provider]}),
            ("datasources", {"datasources": [source]}),
        ):
            path = provisioning / kind / "linkerd.yaml"
            _write(path, yaml.safe_dump({"apiVersion": 1, **said}, sort_keys=False))

    def close(self) -> None:
        """The files stay as they are."""
        self._subscription.close()

    def _config(self) -> dict[str, Any]:
        every = {"refresh_interval": "5s"}
        return {
            "global": {
                "scrape_interval": f"{INTERVAL_S}s",
                "scrape_timeout": f"{INTERVAL_S}s",
                "evaluation_interval": f"{3 * INTERVAL_S}s",
            },
            "rule_files": [str(self._folder / "rules.yml")],
            "scrape_configs": jobs(
                control_plane=CONTROL_PLANE_NAMESPACE,
                discovery="file_sd_configs",
                proxies=[{"files": [str(self._folder / "proxies.json")], **every}],
                controllers=[{"files": [str(self._folder / "controllers.json")], **every}],
            ),
        }

    def _on_changes(self, changes: Sequence[Change]) -> None:
        if any(isinstance(change.after or change.before, Pod) for change in changes):
            try:
                self._write_proxies()
            except OSError as error:
                report_failure("scrape-targets", error)

    def _write_proxies(self) -> None:
        pods = sorted(self._store.mesh.pods.items())
        targets = [_proxy(pod) for _, pod in pods if pod.meshed and pod.admin_addr]
        text = json.dumps(targets, indent=1)
        if text != self._written:
            _write(self._folder / "proxies.json", text)
            self._written = text


def _proxy(pod: Pod) -> dict[str, Any]:
    owner = {f"linkerd.io/proxy-{pod.owner.kind}": pod.owner.name} if pod.owner else {}
    if pod.owner and owner_label(pod.owner.kind) != pod.owner.kind:
        owner = {"linkerd.io/proxy-job": pod.owner.name}
    labels = {**pod.labels, **owner, "linkerd.io/control-plane-ns": pod.control_plane}
    return {
        "targets": [pod.admin_addr],
        "labels": meta_labels(
            namespace=pod.namespace,
            pod=pod.name,
            container="linkerd-proxy",
            port_name="linkerd-admin",
            labels=labels,
        ),
    }


def _controller(public_api: str) -> dict[str, Any]:
    return {
        "targets": [public_api.removeprefix("http://")],
        "labels": meta_labels(
            namespace=CONTROL_PLANE_NAMESPACE,
            pod="control-plane",
            container="public-api",
            port_name="api-admin",
            labels={},
        ),
    }


def _write(path: Path, text: str) -> None:
    """In one step: a reader sees the old text or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


class LocalPrometheus:
    """The program, from `start` to `stop`; `url` is where it will answer."""

    def __init__(
        self,
        state_dir: StateDir,
        *,
        guard: Guard,
        clock: Clock,
        env: dict[str, str],
        on_change: Callable[[], None],
    ) -> None:
        """AddressError if no port is free."""
        self._ports = PortPicker(HOST, shared=True)
        self.address = f"{HOST}:{self._ports.pick(PREFERRED_PORT)}"
        self.url = f"http://{self.address}"
        folder = state_dir.prometheus
        program = Program(
            argv=(
                PROGRAM,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                *RETENTION,
                f"--query.lookback-delta={LOOKBACK}",
                f"--web.listen-address={self.address}",
                "--log.level=warn",
            ),
            env=env,
            cwd=state_dir.root,
            log=state_dir.log_of(PROGRAM),
        )
        self._container = Container(program, guard=guard, clock=clock, on_change=on_change)

    @property
    def container(self) -> Container:
        """How it runs."""
        return self._container

    def start(self) -> None:
        """After its files have been written."""
        self._running = supervise(self._container.run, name=PROGRAM)

    async def stop(self) -> None:
        await self._container.stop(grace_s=_GRACE_S)
        await cancel_all([self._running])
        self._ports.close()


def is_installed(env: dict[str, str]) -> bool:
    """Whether the program is on the path."""
    return shutil.which(PROGRAM, path=env.get("PATH")) is not None
