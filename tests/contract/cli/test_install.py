"""What `install` prints, beside what Linkerd's prints: which objects there are, by kind and name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import pytest
import yaml

from linkerd2_py.cli.main import run

HERE: Final = Path(__file__).parent
RECORDED: Final = Path(__file__).resolve().parents[4] / "shared" / "contract" / "cli"
DIFFERENCES: Final = tomllib.loads((HERE / "differences.toml").read_text())


def names(text: str) -> set[str]:
    objects = (one for one in yaml.safe_load_all(text) if one)
    return {f"{one['kind']}/{one['metadata']['name']}" for one in objects}


@pytest.mark.parametrize(
    ("recorded", "words", "suffixes"),
    [("install.yaml", (), ("",)), ("install-ha.yaml", ("--ha",), ("", "-ha"))],
)
def test_differences_are_listed(
    recorded: str,
    words: tuple[str, ...],
    suffixes: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not RECORDED.exists():
        pytest.skip("the recordings of Linkerd's answers are not here")
    assert run(["install", "--ignore-cluster", *words]) == 0
    ours, theirs = names(capsys.readouterr().out), names((RECORDED / recorded).read_text())
    listed = {
        side: {name for suffix in suffixes for name in DIFFERENCES[f"{side}{suffix}"]}
        for side in ("without", "beside")
    }
    assert theirs - ours == listed["without"]
    assert ours - theirs == listed["beside"]
