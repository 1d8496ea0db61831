"""What every command of `./mesh` runs needs nothing that only developers have."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.release_only
ROOT = Path(__file__).parents[3]
IMPORTS = """
import sys
import tools.front
loaded = {name.partition('.')[0] for name in sys.modules}
print(*loaded & {'pytest', 'hypothesis', 'mypy', 'psutil', 'pexpect'})
"""


def test_a_mesh_is_started_without_the_packages_of_tests() -> None:
    argv = [sys.executable, "-c", IMPORTS]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
