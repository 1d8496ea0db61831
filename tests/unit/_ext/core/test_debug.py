"""The assertions and counters of the debug build, and that release has none."""

import subprocess
import sys

from linkerd2_py._ext.core import debug
from tests.support.wait import patience


def test_a_failed_check_ends_a_debug_build_and_nothing_else():
    program = "from linkerd2_py._ext.core import debug; debug.check_for_test(False); print('alive')"
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=30 * patience(),
    )
    if debug.enabled():
        assert run.returncode == -6
        assert "check failed: asked for by a test" in run.stderr
    else:
        assert run.stdout == "alive\n"


def test_a_true_check_does_nothing():
    debug.check_for_test(True)


def test_counts_name_every_kind():
    counts = debug.counts()
    assert {"buffer", "transport", "session", "pump", "timer", "listener"} <= counts.keys()
    if not debug.enabled():
        assert set(counts.values()) == {0}
