"""Linkerd's suite of its command line (test/cli), which is written for any program, against ours.

L5D_TEST_CLI is its program, as `go test -c ./test/cli` makes it. Without it that is reported as skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = os.environ.get("L5D_TEST_CLI", "")


@pytest.mark.skipif(not PROGRAM, reason="L5D_TEST_CLI names no program of Linkerd's test/cli")
def test_the_command_line_is_as_linkerd_s_suite_expects(tmp_path: Path) -> None:
    ours = Path(sys.executable).with_name("linkerd2-py")
    done = subprocess.run(
        [PROGRAM, "-cli-tests", f"-linkerd={ours}", "-test.v"],
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "--- PASS: TestCliInstall" in done.stdout
