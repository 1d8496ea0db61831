"""Calls of the process about itself, in a process of their own."""

import subprocess
import sys

import pytest


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


@pytest.mark.release_only  # a sanitizer's allocator has nothing to give back
def test_freed_memory_goes_back() -> None:
    script = (
        "import ctypes, re; from linkerd2_py._ext.core.process import trim_heap; "
        "libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; "
        "libc.free.argtypes = [ctypes.c_void_p]; "
        "rss = lambda: int(re.search(r'RssAnon:\\s+(\\d+)', open('/proc/self/status').read())[1]); "
        "held = [libc.malloc(100_000) for _ in range(200)]; "
        "[ctypes.memset(at, 1, 100_000) for at in held]; full = rss(); "
        "[libc.free(at) for at in held[:-1]]; trimmed = trim_heap(); print(trimmed, full - rss() > 10_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]
