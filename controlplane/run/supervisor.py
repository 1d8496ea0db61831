"""The process of a local mesh: a supervisor with an embedded control plane. Not for people: `linkerd2-py
local up` starts it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from linkerd2_py.base import logs
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.listen import LOOPBACK, Listen
from linkerd2_py.controlplane.local.programs.process import raise_files_limit
from linkerd2_py.controlplane.local.state.owned import StateError
from linkerd2_py.controlplane.local.state.state_dir import StateDir, try_lock
from linkerd2_py.controlplane.local.supervise.reports import Report, ReportPipe
from linkerd2_py.controlplane.local.supervise.supervisor import Settings, StartError, Supervisor
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.run.local import build_embedded
from linkerd2_py.controlplane.sources.local.source import LocalSource
from linkerd2_py.controlplane.web.app import LOCAL_PORT

DASHBOARD: Final = (*(Listen(port=LOCAL_PORT + more) for more in range(10)), LOOPBACK)
"""Where a browser asks: the port that people know, or one of the next where it is taken."""
ALREADY_RUNNING = "a local mesh is already running here; `linkerd2-py local down` stops it"


def main() -> int:
    """Run one mesh; 0 after a stop that was asked for, 1 if it could not start."""
    arguments = _arguments()
    logs.configure()
    raise_files_limit()
    reports = ReportPipe(arguments.report_fd)
    directory = StateDir(arguments.state_dir)
    try:
        directory.create()
        lock = try_lock(directory)
    except StateError as error:
        return _fail(reports, text=str(error))
    if lock is None:
        return _fail(reports, text=ALREADY_RUNNING)
    for old in directory.logs.glob("*.log"):
        if old != directory.log_of("control-plane"):
            old.unlink(missing_ok=True)
    settings = Settings(
        mesh_file=arguments.file,
        cwd=arguments.cwd,
        state_dir=directory,
        start_limit_s=arguments.start_limit,
        transparent=arguments.transparent,
        issuer=IssuerFiles(*arguments.issuer) if arguments.issuer else None,
        issuance_lifetime=timedelta(seconds=arguments.issuance_lifetime),
        own_prometheus=arguments.prometheus,
        prometheus_url=arguments.prometheus_url,
    )
    try:
        asyncio.run(_run(settings, reports=reports))
    except StartError as error:
        return _fail(reports, text=str(error))
    finally:
        reports.close()
    # The lock is left to the end of this process: whoever sees it free knows that we are gone.
    return 0


async def _run(settings: Settings, *, reports: ReportPipe) -> None:
    store = MeshStore()
    supervisor = Supervisor(
        settings,
        reports=reports,
        store=store,
        source=LocalSource(store),
        start_control_plane=partial(build_embedded, store, dashboard=DASHBOARD),
    )
    await supervisor.run()


def _fail(reports: ReportPipe, *, text: str) -> int:
    sys.stderr.write(f"{text}\n")
    reports.send(Report("failed", text))
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m linkerd2_py.controlplane.run.supervisor")
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--cwd", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--report-fd", type=int)
    parser.add_argument("--start-limit", type=float, default=60.0)
    parser.add_argument("--transparent", action="store_true")
    parser.add_argument("--issuer", type=Path, nargs=3, metavar=("ANCHORS", "CERTIFICATE", "KEY"))
    parser.add_argument("--issuance-lifetime", type=float, required=True)
    parser.add_argument("--prometheus", action="store_true")
    parser.add_argument("--prometheus-url", default="")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
