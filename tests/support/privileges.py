"""Tests that make namespaces or play another user need root, and say so where they do not have it."""

import os
import shutil
import subprocess

import pytest

NOBODY = 65534


def need_root() -> None:
    """Skip the test when it may not make namespaces or become another user."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes namespaces and packet filter rules, or plays another user")


def nobody_words(*words: str) -> list[str]:
    """The command as a user without any right; skips the test where that cannot be played."""
    need_root()
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *words]


def as_nobody(*words: str) -> subprocess.CompletedProcess[str]:
    """The command's end, run as a user without any right."""
    return subprocess.run(nobody_words(*words), capture_output=True, text=True, check=False)
