"""Lines of our sources: none is wider than the rule, and a wider one is named."""

from pathlib import Path

import pytest

from tools.check_sizes import NARROW, WIDEST, wide_lines

pytestmark = pytest.mark.release_only

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("folder", NARROW)
def test_our_sources_have_no_line_that_is_too_wide(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    assert list(wide_lines(ROOT / folder)) == []


@pytest.mark.parametrize("suffix", ["py", "pyx", "pxd", "pyi"])
def test_a_wide_line_is_named_wherever_it_stands(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "io" / f"loop.{suffix}"
    path.parent.mkdir()
    path.write_text(f"# {'x' * (WIDEST - 2)}\n# {'ü' * (WIDEST - 1)}\n")
    assert list(wide_lines(tmp_path)) == [f"{path}:2: 111 columns, more than 110"]


def test_generated_lines_may_be_wide(tmp_path: Path) -> None:
    path = tmp_path / "gen" / "net_pb2.py"
    path.parent.mkdir()
    path.write_text("x" * (WIDEST + 1))
    assert list(wide_lines(tmp_path)) == []
