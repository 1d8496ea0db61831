"""Lines of the engine: none is wider than the rule, and a wider one is named."""

from pathlib import Path

import pytest

from tools.check_sizes import WIDEST, wide_lines

pytestmark = pytest.mark.release_only

ROOT = Path(__file__).parents[3]


def test_our_engine_has_no_line_that_is_too_wide() -> None:
    assert list(wide_lines(ROOT / "_ext")) == []


@pytest.mark.parametrize("suffix", ["pyx", "pxd", "pyi"])
def test_a_wide_line_is_named_wherever_it_stands(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "io" / f"loop.{suffix}"
    path.parent.mkdir()
    path.write_text(f"# {'x' * (WIDEST - 2)}\n# {'ü' * (WIDEST - 1)}\n")
    assert list(wide_lines(tmp_path)) == [f"{path}:2: 111 columns, more than 110"]
