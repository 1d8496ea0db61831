"""Golden files: expected texts that are read by people. L5D_UPDATE_GOLDEN=1 writes them anew."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1] / "golden"


def assert_golden(name: str, text: str) -> None:
    """`text` is exactly what tests/golden/<name> holds."""
    path = ROOT / name
    if os.environ.get("L5D_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert text == expected, (
        f"differs from {path}; if it should, L5D_UPDATE_GOLDEN=1 writes it anew"
    )
