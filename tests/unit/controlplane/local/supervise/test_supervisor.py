"""What the supervisor does beside its loop."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from linkerd2_py.controlplane.local.state.state_dir import StateDir
from linkerd2_py.controlplane.local.supervise import supervisor
from linkerd2_py.controlplane.local.supervise.reports import ReportPipe
from linkerd2_py.controlplane.local.supervise.supervisor import Settings, Supervisor
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.run.local import build_embedded
from linkerd2_py.controlplane.sources.local.mesh_file import load_mesh_file
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec
from linkerd2_py.controlplane.sources.local.source import LocalSource


async def test_an_edited_file_is_read_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large one takes seconds, in which proxies and people ask."""
    readers: list[threading.Thread] = []

    def note(path: Path) -> MeshSpec:
        readers.append(threading.current_thread())
        return load_mesh_file(path)

    monkeypatch.setattr(supervisor, "load_mesh_file", note)
    path = tmp_path / "mesh.yaml"
    path.write_text("workloads: {web: {command: [sleep, '1']}}\n")
    settings = Settings(mesh_file=path, cwd=tmp_path, state_dir=StateDir(tmp_path / "state"))
    store = MeshStore()
    made = Supervisor(
        settings,
        reports=ReportPipe(None),
        store=store,
        source=LocalSource(store),
        start_control_plane=partial(build_embedded, store),
    )
    await made._on_edit()
    assert len(readers) == 1
    assert threading.main_thread() not in readers
