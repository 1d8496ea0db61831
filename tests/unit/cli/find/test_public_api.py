"""Which control plane a command asks: the one it was told, the environment's, the local mesh's, or none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find import local
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.cli.find.flag import VARIABLE
from linkerd2_py.cli.find.public_api import find
from linkerd2_py.controlplane.local.state.state_dir import State, StateDir

STATE = State(
    version="1",
    pid=1,
    public_api="http://127.0.0.1:8085",
    proxy_api="127.0.0.1:8086",
    mesh_file="mesh.yaml",
    namespace="shop",
    started=1.0,
    links={},
)
HOLDER = (
    "import sys; from pathlib import Path;"
    "from linkerd2_py.controlplane.local.state.state_dir import StateDir, try_lock;"
    "lock = try_lock(StateDir(Path(sys.argv[1]))); print('held', flush=True); input()"
)


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def mesh(root: Path) -> Iterator[None]:
    """A supervisor that does nothing, in a process of its own: a lock shows only to others."""
    directory = StateDir(root)
    directory.create()
    directory.write(STATE)
    argv = [sys.executable, "-c", HOLDER, str(root)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate(b"\n")


def test_nothing_is_found_where_nothing_is() -> None:
    assert find(None) is None
    with pytest.raises(CliError, match="no local mesh is running: `linkerd2-py local up` starts"):
        local.running()


@pytest.mark.usefixtures("mesh")
def test_the_local_mesh_is_found_by_its_state() -> None:
    assert find(None) == ControlPlane("http://127.0.0.1:8085", namespace="shop")
    assert local.running()[1] == STATE


@pytest.mark.usefixtures("mesh")
def test_what_is_said_wins_over_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "10.0.0.1:8085")
    assert find(None) == ControlPlane("http://10.0.0.1:8085", namespace="default")
    assert find("https://mesh.example") == ControlPlane("https://mesh.example")


def test_a_state_that_cannot_be_ours_is_one_line(root: Path) -> None:
    root.chmod(0o777)
    (root / "state.json").write_text("{}")
    with pytest.raises(CliError) as caught:
        find(None)
    assert "\n" not in str(caught.value)
