"""What a golden file's failure tells, and how the file is written anew."""

from pathlib import Path

import pytest

from tests.support import golden


def test_a_difference_says_how_to_accept_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "ROOT", tmp_path)
    monkeypatch.delenv("L5D_UPDATE_GOLDEN", raising=False)
    with pytest.raises(AssertionError, match="L5D_UPDATE_GOLDEN=1 writes it anew"):
        golden.assert_golden("new/text.golden", "text")
    monkeypatch.setenv("L5D_UPDATE_GOLDEN", "1")
    golden.assert_golden("new/text.golden", "text")
    monkeypatch.delenv("L5D_UPDATE_GOLDEN")
    golden.assert_golden("new/text.golden", "text")
    with pytest.raises(AssertionError, match="L5D_UPDATE_GOLDEN=1 writes it anew"):
        golden.assert_golden("new/text.golden", "other")
