"""The name in hints is one that works where it is read."""

from pathlib import Path

import pytest

from linkerd2_py.cli import PROGRAM
from linkerd2_py.cli.program import shown_program


@pytest.fixture
def script(tmp_path: Path) -> Path:
    made = tmp_path / "venv" / "bin" / PROGRAM
    made.parent.mkdir(parents=True)
    made.touch(mode=0o755)
    return made


def test_the_plain_name_if_the_shell_finds_it(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    assert shown_program(str(script)) == PROGRAM


def test_the_path_if_the_shell_finds_none_or_another(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shown_program(str(script), cwd=tmp_path) == f"venv/bin/{PROGRAM}"
    assert shown_program(str(script), cwd=tmp_path / "elsewhere") == str(script)
    (tmp_path / PROGRAM).touch(mode=0o755)
    assert shown_program(str(script), cwd=tmp_path) == f"venv/bin/{PROGRAM}"


def test_the_plain_name_when_run_as_a_module() -> None:
    assert shown_program("/somewhere/linkerd2_py/cli/main.py") == PROGRAM
