"""Calls of the process about itself, in a process of their own."""

import subprocess
import sys


def test_a_process_that_forbids_dumps_says_so_to_the_kernel() -> None:
    script = (
        "import ctypes; from linkerd2_py._ext.core.process import forbid_dumps; "
        "dumpable = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0); "
        "before = dumpable(); done = forbid_dumps(); print(before, done, dumpable())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "True", "0"]
