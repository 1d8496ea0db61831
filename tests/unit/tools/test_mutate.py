"""Breaking a small project on purpose."""

import subprocess
from pathlib import Path

import pytest

from tools import mutate
from tools.mutate import LIST, ROOT, Break, ListError, Tree, problems, read, run

pytestmark = pytest.mark.release_only

SUM = "def add(a, b):\n    return a + b\n\n\ndef never():\n    return 1\n"
TEST = (
    "import linkerd2_py.proxy.sums as sums\n\n\ndef test_sum():\n    assert sums.add(1, 2) == 3\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with one module and one test."""
    package = tmp_path / "src/linkerd2_py"
    (tmp_path / "proxy").mkdir()
    package.mkdir(parents=True)
    (package / "proxy").symlink_to("../../proxy")
    for path in (package / "__init__.py", tmp_path / "proxy/__init__.py"):
        path.touch()
    (tmp_path / "proxy/sums.py").write_text(SUM)
    (tmp_path / "test_sums.py").write_text(TEST)
    (tmp_path / "pytest.ini").touch()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def broken(before: str, after: str, *, name: str = "wrong") -> Break:
    return Break(name, "proxy/sums.py", before, after, ("test_sums.py",))


def test_who_is_noticed_and_who_survives(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = broken("a + b", "a - b", name="differs")
    unseen = broken("return 1", "return 2", name="is not asked")
    assert run([seen, unseen], project) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "caught    differs"
    assert lines[1].endswith("proxy/sums.py: test_sums.py::test_sum")
    assert lines[2] == "SURVIVED  is not asked"
    assert lines[-1] == "| `proxy` | 2 | 1 |"
    assert (project / "proxy/sums.py").read_text() == SUM


def test_all_noticed_is_success(project: Path) -> None:
    assert run([broken("a + b", "a * b")], project) == 0


def test_tests_that_fail_anyway_notice_nothing(project: Path) -> None:
    (project / "test_sums.py").write_text("def test_nothing(): assert False\n")
    with pytest.raises(ListError, match="fails without any break: test_sums"):
        run([broken("a + b", "a - b")], project)


def test_what_cannot_be_loaded_is_no_break(project: Path) -> None:
    with pytest.raises(ListError, match=r"(?s)wrong \(proxy/sums.py\): .*cannot even be loaded"):
        run([broken("return a + b", "return (")], project)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"before": "a % b"}, "wrong: 'a % b' is 0 times in proxy/sums.py"),
        ({"before": "return"}, "wrong: 'return' is 2 times in proxy/sums.py"),
        ({"file": "proxy/gone.py"}, "wrong: 'a + b' is 0 times in proxy/gone.py"),
        ({"after": "a + b"}, "wrong: changes nothing"),
        ({"tests": ("test_gone.py::test_it",)}, "wrong: no tests at ['test_gone.py::test_it']"),
        ({"tests": ()}, "wrong: no tests at []"),
    ],
)
def test_a_break_that_does_not_fit_is_named(
    project: Path, change: dict[str, str], told: str
) -> None:
    fields = {"before": "a + b", "after": "a - b", "file": "proxy/sums.py"} | change
    one = Break("wrong", **{"tests": ("test_sums.py",), **fields})  # type: ignore[arg-type]
    assert problems([one], project) == [told]


def test_a_break_is_undone_whatever_happens(project: Path) -> None:
    tree = Tree(project)
    with pytest.raises(RuntimeError), tree.broken(broken("a + b", "a - b")):
        assert "a - b" in (project / "proxy/sums.py").read_text()
        raise RuntimeError
    assert (project / "proxy/sums.py").read_text() == SUM


def test_who_waits_for_what_never_comes_is_noticed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutate, "TEST_LIMIT_S", 3.0)
    with Tree(project).broken(broken("return a + b", "import time; time.sleep(600)")):
        assert "ended with" in (Tree(project).test(["test_sums.py"]) or "")


def test_every_listed_break_fits_the_tree() -> None:
    """Whoever moves or changes code moves its break in tools/mutations.toml."""
    breaks = read(LIST)
    assert not problems(breaks, ROOT)
    assert len({one.name for one in breaks}) == len(breaks) >= 60
