"""Which control plane a command asks: the one it was told, the environment's, the local mesh's, or none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find import local
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.cli.find.flag import VARIABLE
from linkerd2_py.cli.find.public_api import find
from linkerd2_py.cli.main import run
from linkerd2_py.cli.options import Globals
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
SERVICE = "/api/v1/namespaces/linkerd/services/linkerd-public-api:8085/proxy"
CONFIG = {
    "clusters": [
        {"name": "near", "cluster": {"server": "https://192.0.2.1:6443"}},
        {"name": "far", "cluster": {"server": "https://192.0.2.2:6443"}},
    ],
    "users": [{"name": "me", "user": {"token": "secret"}}],
    "contexts": [
        {"name": "near", "context": {"cluster": "near", "user": "me"}},
        {"name": "far", "context": {"cluster": "far", "user": "me", "namespace": "shoes"}},
    ],
    "current-context": "near",
}
NOBODY = {"server": "https://127.0.0.1:1"}
HOLDER = (
    "import sys; from pathlib import Path;"
    "from linkerd2_py.controlplane.local.state.state_dir import StateDir, try_lock;"
    "lock = try_lock(StateDir(Path(sys.argv[1]))); print('held', flush=True); input()"
)


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (VARIABLE, "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "LINKERD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
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
    assert find(Globals()) is None
    with pytest.raises(CliError, match="no local mesh is running: `linkerd2-py local up` starts"):
        local.running()


@pytest.mark.usefixtures("mesh")
def test_the_local_mesh_is_found_by_its_state() -> None:
    assert find(Globals()) == ControlPlane("http://127.0.0.1:8085", namespace="shop")
    assert local.running()[1] == STATE


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Of two clusters that nobody asks here."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def as_user(user: dict[str, str]) -> str:
    """The same kubeconfig for somebody who proves to be somebody in this way."""
    return yaml.safe_dump({**CONFIG, "users": [{"name": "me", "user": user}]})


def found(**said: str) -> ControlPlane:
    """What these options find; nothing of it is kept."""
    control_plane = find(Globals(**said))  # type: ignore[arg-type]
    assert control_plane
    if control_plane.cluster:
        control_plane.cluster.close()
    return control_plane


@pytest.mark.usefixtures("mesh")
def test_what_is_said_wins_over_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "10.0.0.1:8085")
    assert find(Globals()) == ControlPlane("http://10.0.0.1:8085", namespace="default")
    assert find(Globals(api_addr="https://mesh.example")) == ControlPlane("https://mesh.example")


def test_a_kubeconfig_is_taken_where_nothing_else_is(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    expected = ControlPlane(
        "https://192.0.2.1:6443/api/v1/namespaces/linkerd/services/linkerd-public-api:8085/proxy",
        namespace="default",
    )
    assert found() == expected
    assert found().found_by == str(kubeconfig)
    monkeypatch.setenv(VARIABLE, "10.0.0.1:8085")
    assert found() == ControlPlane("http://10.0.0.1:8085")


def test_the_kubeconfig_in_the_home_is_that_of_everybody(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(os.environ["HOME"])
    (home / ".kube").mkdir(parents=True)
    kubeconfig.rename(home / ".kube" / "config")
    assert found().url.startswith("https://192.0.2.1:6443/")
    # As kubectl: those that are there are merged, the first of them says which context is current.
    other = home / "other"
    other.write_text(yaml.safe_dump({**CONFIG, "current-context": "far"}))
    monkeypatch.setenv("KUBECONFIG", f"{home}/none:{other}")
    assert found().url.startswith("https://192.0.2.2:6443/")


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize(
    ("said", "url", "namespace"),
    [
        ({}, "http://127.0.0.1:8085", "shop"),
        ({"within": "far"}, f"https://192.0.2.2:6443{SERVICE}", "shoes"),
        ({"kubeconfig": "kubeconfig"}, f"https://192.0.2.1:6443{SERVICE}", "default"),
        (
            {"linkerd_namespace": "mesh"},
            f"https://192.0.2.1:6443{SERVICE.replace('/linkerd/', '/mesh/')}",
            "default",
        ),
        ({"within": "far", "api_addr": "10.0.0.1:1"}, "http://10.0.0.1:1", "default"),
    ],
)
def test_words_about_a_cluster_win_over_the_local_mesh(
    kubeconfig: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, str],
    url: str,
    namespace: str,
) -> None:
    monkeypatch.chdir(kubeconfig.parent)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert found(**said) == ControlPlane(url, namespace=namespace)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "kubeconfig: it is not a kubeconfig"),
        ("[1, 2]", "kubeconfig: it is not a kubeconfig"),
        ("a: [", "kubeconfig: while parsing"),
        ("{clusters: 1, contexts: [], users: []}", "kubeconfig: it is not a kubeconfig"),
        ("{clusters: [], contexts: [], users: []}", "Expected key current-context"),
        (
            yaml.safe_dump({**CONFIG, "current-context": "nowhere"}),
            "Expected object with name nowhere in .*contexts",
        ),
        (
            yaml.safe_dump({**CONFIG, "clusters": []}),
            "Expected object with name near in .*clusters",
        ),
        (
            as_user({"client-certificate": "/x", "client-key": "/x"}),
            "kubeconfig: File does not exist",
        ),
        (
            as_user({"client-certificate-data": "eA==", "client-key-data": "eA=="}),
            "kubeconfig: .*PEM",
        ),
        (as_user({"client-certificate-data": "?"}), "kubeconfig: "),
        (
            yaml.safe_dump({**CONFIG, "clusters": [{"name": "near", "cluster": NOBODY}]}),
            r"cannot reach the API server: https://127\.0\.0\.1:1/api/\S+: cannot connect: Connection refused$",
        ),
    ],
)
def test_a_kubeconfig_that_is_none_is_one_line(
    kubeconfig: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kubeconfig.write_text(text)
    assert run(["get", "pods", "--kubeconfig", str(kubeconfig)]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert re.search(message, said.err)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert run(["get", "pods"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--kubeconfig /nowhere", "--kubeconfig: there is no file /nowhere"),
        ("--context near", "there is no kubeconfig: neither --kubeconfig nor $KUBECONFIG nor ~/"),
        (
            "--kubeconfig kubeconfig --context nowhere",
            "linkerd2-py: kubeconfig: there is no context 'nowhere'; there are: near, far\n",
        ),
        (
            "--kubeconfig kubeconfig --context near\x1b[2J",
            "there is no context 'near\\x1b[2J'; there are: near, far",
        ),
        ("--kubeconfig kubeconfig -n a/b", "'a/b' is not a valid namespace"),
    ],
)
def test_a_cluster_that_nobody_knows_is_one_line(
    kubeconfig: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    message: str,
) -> None:
    monkeypatch.chdir(kubeconfig.parent)
    assert run([*words.split(), "get", "pods"]) in {1, 2}
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert message in said.err


def test_a_state_that_cannot_be_ours_is_one_line(root: Path) -> None:
    root.chmod(0o777)
    (root / "state.json").write_text("{}")
    with pytest.raises(CliError) as caught:
        find(Globals())
    assert "\n" not in str(caught.value)
