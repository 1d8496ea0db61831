"""Makes the pictures of the README anew: `python tools/pictures.py`.

They are what the browser shows while the test of the fault hunt clicks through a local mesh. A picture in git
is to be small.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs/pictures"
TEST: Final = "tests/integration/web/test_fault_hunt.py"
LARGEST_BYTES: Final = 100_000


def main() -> int:
    """Pytest's exit status, or 1 for a picture that is too large."""
    FOLDER.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "pytest", "-q", TEST, "-k", "three_clicks"]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "L5D_PICTURES": str(FOLDER)}, check=False
    )
    large = [path.name for path in FOLDER.glob("*.webp") if path.stat().st_size > LARGEST_BYTES]
    if large:
        print(f"larger than {LARGEST_BYTES} bytes: {', '.join(large)}", file=sys.stderr)
    return done.returncode or bool(large)


if __name__ == "__main__":
    sys.exit(main())
