"""What runs once, what runs with every engine, and how a run that failed ends."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TURNS
from tools import stages
from tools.stages import Run, Stage

pytestmark = pytest.mark.release_only

ROOT = Path(__file__).parents[3]
# It counts objects that it made up.
NOT_ITS_BUSINESS = {ROOT / "tests/unit/support/test_leak_fixture.py"}
# They pass on what others made, or have something read as proxies will read it.
NAMES_IT = {
    ROOT / "controlplane/calls.py",
    ROOT / "controlplane/policy/tokens.py",
    ROOT / "controlplane/run/components.py",
    ROOT / "controlplane/sources/local/notations.py",
    ROOT / "controlplane/sources/local/profile_rules.py",
}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, wherever it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_who_asks_the_engine_is_run_with_a_debug_engine_too() -> None:
    engine = [
        path
        for folder in stages.QUICK
        for path in (ROOT / folder).rglob("test_*.py")
        if any(name.startswith("linkerd2_py._ext") for name in imported(path))
    ]
    assert engine
    sees = [ROOT / folder for folder in stages.SEES_ENGINE]
    missed = [path for path in engine if not any(path.is_relative_to(folder) for folder in sees)]
    assert set(missed) <= NOT_ITS_BUSINESS


def test_what_runs_once_knows_no_engine() -> None:
    """Packages whose unit tests are left out of the debug run; importing the engine there would be a hole in
    it.
    """
    engine = [
        path
        for folder in ("controlplane", "cli", "proto")
        for path in (ROOT / folder).rglob("*.py")
        if any(name.startswith("linkerd2_py._ext") for name in imported(path))
    ]
    sees = [folder.removeprefix("tests/unit/") for folder in stages.SEES_ENGINE]
    missed = [path for path in engine if not any(path.is_relative_to(ROOT / one) for one in sees)]
    assert set(missed) <= NAMES_IT


def test_what_needs_a_cluster_runs_once_its_programs_are_built() -> None:
    needs = re.compile(r"tests\.support\.cluster import|linkerd_objects")
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if needs.search(path.read_text()) and path.parent.name != "tools"
    }
    assert folders
    assert folders <= {*stages.CLUSTER.folders, *stages.PODS.folders}
    assert set(stages.PODS.folders) <= set(stages.CLUSTER.ignore)
    for others in (stages.RELEASE, stages.debug({}), stages.sanitized({})):
        assert set(stages.RECORDED_CLUSTER) <= set(others.ignore)


@pytest.mark.parametrize(
    "stage",
    [stages.RELEASE, stages.CLUSTER, stages.PODS, stages.debug({}), stages.debug_integration({})],
)
def test_folders_exist(stage: Stage) -> None:
    assert all((ROOT / folder).is_dir() for folder in [*stage.folders, *stage.ignore])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two suites, one of which fails."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.py").write_text(
        "import os\ndef test(): assert os.environ['FLAVOUR'] == 'debug'\n"
    )
    (tmp_path / "bad.py").write_text("def test(): assert False\n")
    return tmp_path


def test_workers_agree_on_the_order_of_a_set(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    (project / "sets.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('letter', set('abcdefghijklmnopqrstuvwxyz'))\n"
        "def test(letter): assert letter\n"
    )
    Run().stage(Stage("sets", ["sets.py"], waits=True))
    assert "26 passed" in capfd.readouterr().out


def test_the_first_stage_that_fails_ends_the_run_with_all_counts(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run()
    run.stage(Stage("good", ["good.py"], env={"FLAVOUR": "debug"}))
    with pytest.raises(SystemExit) as ended:
        run.stage(Stage("bad", ["bad.py"]))
    assert ended.value.code == 1
    out, err = capfd.readouterr()
    assert out.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"
    assert "bad failed (pytest ended with 1)" in err


ONCE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({}))
def test(number):
    seen = Path(f"seen-{{number}}")
    first = not seen.exists()
    seen.touch()
    assert not first
"""


def test_a_few_tests_that_fail_have_a_second_chance(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "once.py").write_text(ONCE.format(stages.TRIED_AGAIN))
    run = Run()
    run.stage(Stage("once", ["once.py"]))
    run.summarize()
    out = capfd.readouterr().out
    assert out.count("once: failed, and passed when run alone: once::test[") == stages.TRIED_AGAIN
    assert out.splitlines()[-1] == f"{stages.TRIED_AGAIN} passed, 0 failed, 0 skipped"


CRASHES = "import os\ndef test(): os.abort()\n"


@pytest.mark.parametrize(
    "tests", [ONCE.format(stages.TRIED_AGAIN + 1), CRASHES], ids=["many", "crashes"]
)
def test_many_and_crashes_have_none(project: Path, tests: str) -> None:
    (project / "once.py").write_text(tests)
    with pytest.raises(SystemExit):
        Run().stage(Stage("once", ["once.py"]))
    assert not Stage("once", ["once.py"]).report_again.exists()


def test_reports_of_an_earlier_run_are_not_counted(project: Path) -> None:
    stages.REPORTS.mkdir(parents=True)
    old = stages.REPORTS / "good.xml"
    old.touch()
    assert Run().summarize() == 1
    assert not old.exists()


def test_tests_that_wait_get_more_workers_and_stay_in_their_groups() -> None:
    words = Stage("slow", ["here"], waits=True).words()
    assert words[:3] == [sys.executable, "-m", "pytest"]
    assert "loadgroup" in words
    assert "loadgroup" not in Stage("quick", ["here"]).words()


ONE_WORKER = """
import os
from pathlib import Path

import pytest

from tests.support.wait import eventually

@pytest.mark.parametrize("number", range(8))
def test_place(number):
    folder, worker = "/".join(__file__.split("/")[-3:-1]), os.environ["PYTEST_XDIST_WORKER"]
    seen = Path(os.environ["SEEN"])
    with seen.open("a") as file:
        file.write(f"{folder} {worker}\\n")
    # What may run apart waits for the other worker: that one may be slow.
    if number == 0 and folder in os.environ["APART"].split():
        other = f"{folder} {'gw1' if worker == 'gw0' else 'gw0'}\\n"
        eventually(lambda: other in seen.read_text(), deadline_s=60)
"""
APART = ("integration/engine", "unit/local")


def test_tests_of_what_there_is_once_on_a_machine_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = (
        "integration/local",
        "integration/engine",
        "cluster",
        "contract/policy",
        "unit/local",
    )
    for folder in folders:
        path = tmp_path / "tests" / folder / "test_it.py"
        path.parent.mkdir(parents=True)
        path.write_text(ONE_WORKER)
    hooks = "from tests.conftest import pytest_xdist_make_scheduler\n"
    (tmp_path / "conftest.py").write_text(hooks)
    (tmp_path / "pytest.ini").touch()
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("APART", " ".join(APART))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    words = ["-n", "2", "--dist", "loadgroup", "--import-mode=importlib", "tests"]
    subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, check=True)
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert len(seen) == 8 * len(folders)
    for together in ("integration/local", "tests/cluster", "contract/policy"):
        assert len({worker for folder, worker in seen if folder == together}) == 1
    for apart in APART:
        assert len({worker for folder, worker in seen if folder == apart}) == 2
    assert {worker for _, worker in seen} == {"gw0", "gw1"}


def test_what_takes_turns_exists() -> None:
    above = (ROOT / "tests/integration", ROOT / "tests")
    assert all(any((one / folder).is_dir() for one in above) for folder in TURNS)
