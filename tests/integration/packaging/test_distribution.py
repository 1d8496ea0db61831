"""sdist → wheel → clean environment: what a stranger installs works without the checkout.

Nothing here sees the source tree: the folder is copied, packed, unpacked and built, and programs run
elsewhere.
"""

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil
import pytest

from tests.support.processes import assert_gone
from tests.support.wait import eventually
from tools.wheels import GRAFTED, SUPPORTED, graft, interpreter, libraries, make

ROOT = Path(__file__).parents[3]
# What is made beside the sources; folders of these names elsewhere are sources.
MADE = frozenset({str(ROOT / "build"), str(ROOT / "dist")})
NOT_SOURCE = shutil.ignore_patterns(
    ".git",
    ".venv*",
    "*.so",
    "*.c",
    "__pycache__",
    "*.egg-info",
    ".*_cache",
)
ENGINE = [path for path in sorted((ROOT / "_ext").rglob("*.pyx")) if path.stem != "testing"]

pytestmark = [pytest.mark.slow, pytest.mark.release_only, pytest.mark.timeout(1200)]


def _not_source(folder: str, names: list[str]) -> set[str]:
    return NOT_SOURCE(folder, names) | {name for name in names if f"{folder}/{name}" in MADE}


@dataclass(frozen=True, slots=True)
class Distribution:
    """The archives and a fresh environment that has the published wheel with [fast]."""

    sdist: Path
    wheel: Path
    published: Path
    venv: Path
    elsewhere: Path

    def run(self, program: str, *words: str) -> str:
        """Output of a program of the fresh environment, started outside of any checkout."""
        state = {"LINKERD2_PY_STATE_DIR": str(self.elsewhere / "state")}
        return run([self.venv / "bin" / program, *words], self.elsewhere, state)


def run(argv: list[str | Path], folder: Path, extra: Mapping[str, str] | None = None) -> str:
    """Standard output; the test fails with everything that was written when the status is not 0."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    started = subprocess.Popen(
        argv,
        cwd=folder,
        env={**kept, **(extra or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        out, problems = started.communicate()
    except BaseException:
        # A compiler below pip, say: who is interrupted here must not leave it behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.communicate()
        raise
    assert started.returncode == 0, f"{argv}\n{out[-4000:]}\n{problems[-4000:]}"
    return out


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    home = tmp_path_factory.mktemp("distribution")
    checkout = home / "checkout"
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=_not_source)
    python = Path(sys.executable)
    run([python, "-m", "build", "--sdist", "--no-isolation", "--outdir", home], checkout)
    sdist = next(home.glob("*.tar.gz"))
    shutil.rmtree(checkout)
    offline = ["--no-build-isolation", "--no-deps"]
    run([python, "-m", "pip", "wheel", "-q", *offline, "-w", home, sdist], home)
    wheel = next(home.glob("*.whl"))
    run([python, "-m", "venv", home / "venv"], home)
    published = graft(wheel, home / "published")
    run([home / "venv/bin/pip", "install", "-q", f"{published}[fast]"], home)
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    return Distribution(sdist, wheel, published, home / "venv", elsewhere)


OURS = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module", params=[version for version in SUPPORTED if version != OURS])
def other(
    request: pytest.FixtureRequest,
    distribution: Distribution,
    tmp_path_factory: pytest.TempPathFactory,
) -> Distribution:
    """The same for another interpreter that is supported, where it is here."""
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} with headers is here")
    home = tmp_path_factory.mktemp("other")
    published = make(python, distribution.sdist, home / "published")
    run([python, "-m", "venv", home / "venv"], home)
    run([home / "venv/bin/pip", "install", "-q", f"{published}[fast]"], home)
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    return Distribution(distribution.sdist, published, published, home / "venv", elsewhere)


LOADED = """
from pathlib import Path
import linkerd2_py._ext.tls.credentials, linkerd2_py._ext.http2.server
maps = Path("/proc/self/maps").read_text().split()
print(*{path for path in maps if any(name in path for name in ("libssl", "libcrypto", "libnghttp2"))})
"""


def test_the_published_wheel_brings_its_libraries_with_their_licences(
    distribution: Distribution,
) -> None:
    major, minor = sys.version_info[:2]
    tag = f"cp{major}{minor}-cp{major}{minor}-manylinux_2_34_{platform.machine()}"
    assert distribution.published.stem.endswith(tag)
    assert libraries(distribution.published) == GRAFTED.keys()
    with zipfile.ZipFile(distribution.published) as archive:
        texts = {PurePosixPath(name).name for name in archive.namelist() if "/licenses/" in name}
    assert texts > {"LICENSE", *(f"{package}.txt" for package in GRAFTED.values())}
    loaded = distribution.run("python", "-c", LOADED).split()
    assert len(loaded) == len(GRAFTED)
    assert all(str(distribution.venv) in path for path in loaded)


def test_the_sdist_holds_sources_in_real_folders(distribution: Distribution) -> None:
    with tarfile.open(distribution.sdist) as archive:
        members = archive.getmembers()
    assert not [member.name for member in members if member.issym() or member.islnk()]
    names = {str(PurePosixPath(*PurePosixPath(member.name).parts[1:])) for member in members}
    assert {f"src/linkerd2_py/{path.relative_to(ROOT)}" for path in ENGINE} <= names
    assert {"LICENSE", "README.md", "setup.py", "pyproject.toml"} <= names
    assert not [name for name in names if name.endswith((".c", ".so"))]


def test_the_wheel_holds_the_compiled_engine_and_no_sources_of_it(
    distribution: Distribution,
) -> None:
    with zipfile.ZipFile(distribution.wheel) as archive:
        names = archive.namelist()
    assert not [name for name in names if name.endswith((".c", ".pyx")) or "/testing." in name]
    compiled = [name.split(".")[0] for name in names if name.endswith(".so")]
    assert compiled == ["linkerd2_py/_ext/engine"]
    outside = {name.split("/")[0] for name in names if not name.startswith("linkerd2_py-")}
    assert outside == {"linkerd2_py"}


def test_files_read_at_run_time_are_in_the_wheel(distribution: Distribution) -> None:
    with zipfile.ZipFile(distribution.wheel) as archive:
        names = set(archive.namelist())
    folders = ("cli", "controlplane", "proxy", "proto", "charts")
    kinds = (".yaml", ".html", ".css", ".js", ".json", ".svg", ".tpl", ".typed")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    # What the dashboard's page is built from is no part of what is built.
    files = [path for path in files if not path.is_relative_to(ROOT / "controlplane/web/app")]
    files = [path for path in files if path.suffix in kinds or path.parent.name == "texts"]
    wanted = {f"linkerd2_py/{path.relative_to(ROOT)}" for path in files}
    assert "linkerd2_py/cli/texts/help.txt" in wanted
    assert "linkerd2_py/charts/linkerd2-py-crds/templates/policy/server.yaml" in wanted
    assert wanted <= names
    assert not [name for name in names if "/web/app/" in name]
    assert {"linkerd2_py/py.typed", "linkerd2_py/controlplane/web/bundle/index.html"} <= names


def test_every_engine_module_imports_outside_the_checkout(distribution: Distribution) -> None:
    names = [
        ".".join(("linkerd2_py", *path.relative_to(ROOT).with_suffix("").parts)) for path in ENGINE
    ]
    source = f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)"
    files = distribution.run("python", "-c", source).split()
    assert len(files) == len(ENGINE)
    assert len(set(files)) == 1
    assert files[0].startswith(str(distribution.venv)), files[0]


def test_the_console_script_answers(distribution: Distribution) -> None:
    assert "0.1.0" in distribution.run("linkerd2-py", "version", "--client")
    assert "Usage" in distribution.run("linkerd2-py", "--help")


def test_a_local_mesh_runs_and_stops_outside_the_checkout(distribution: Distribution) -> None:
    run_a_mesh(distribution)


def test_other_interpreters_have_a_wheel_that_runs_a_mesh(other: Distribution) -> None:
    version = other.run(
        "python", "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"
    ).strip()
    assert f"-{version}-{version}-manylinux_2_34_" in other.published.name
    assert libraries(other.published) == GRAFTED.keys()
    with zipfile.ZipFile(other.published) as archive:
        assert [name for name in archive.namelist() if name.startswith("linkerd2_py/_ext/engine.")]
    loaded = other.run("python", "-c", LOADED).split()
    assert all(str(other.venv) in path for path in loaded)
    run_a_mesh(other)


def run_a_mesh(distribution: Distribution) -> None:
    """From its start until somebody has asked somebody, to its end."""

    def has_traffic() -> bool:
        rows = json.loads(distribution.run("linkerd2-py", "stat", "deploy", "-A", "-o", "json"))
        return any(row["rps"] for row in rows)

    started: list[int] = []
    try:
        distribution.run("linkerd2-py", "local", "up", "--detach")
        started = processes_of(distribution.venv)
        assert started
        eventually(has_traffic, deadline_s=60, what="traffic in `stat deploy`")
        distribution.run("linkerd2-py", "local", "down")
        assert_gone(*started)
    finally:
        end_all(distribution.venv)


def end_all(venv: Path) -> None:
    """Whatever happened, also in the middle of a start, nothing of it stays."""
    while left := processes_of(venv):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda left=left: not {*left} & {*processes_of(venv)})  # type: ignore[misc]


def processes_of(venv: Path) -> list[int]:
    """Every process whose interpreter belongs to `venv`."""
    everything = psutil.process_iter(["cmdline"])
    prefix = str(venv)
    return [p.pid for p in everything if (p.info["cmdline"] or [""])[0].startswith(prefix)]
