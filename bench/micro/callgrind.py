"""User instructions of a child process, counted by valgrind's callgrind."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "valgrind"
CHILD_TIMEOUT_S = 600
TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)
EVENTS = re.compile(r"^events: (.+)$", re.MULTILINE)
VALGRIND_SAYS = "=="  # how its own lines begin


class CountingFailed(Exception):
    """One line for the user: what could not be counted, and why."""


def total_instructions(profile: str) -> int:
    """Instructions executed in all, from a callgrind profile."""
    events = EVENTS.search(profile)
    totals = TOTALS.search(profile)
    if events is None or totals is None:
        raise CountingFailed("callgrind's profile ends before its totals: was the child killed?")
    if events[1] != "Ir":
        raise CountingFailed(f"callgrind counted {events[1]}, not only instructions (Ir)")
    return int(totals[1])


def per_operation(once: int, twice: int, times: int) -> float:
    """Instructions of one operation, from the totals of `times` and of twice as many: what both spent on
    their start cancels out.
    """
    if twice <= once:
        raise CountingFailed(f"{2 * times} operations took no more instructions than {times}")
    return (twice - once) / times


def valgrind() -> str:
    found = shutil.which("valgrind")
    if found is None:
        raise CountingFailed(
            f"valgrind is not installed; on Debian and Ubuntu: apt-get install {PACKAGE}"
        )
    return found


def last_words(child: subprocess.CompletedProcess[str]) -> str:
    """What a child that failed said last, or how it ended."""
    said = [line for line in child.stderr.splitlines() if not line.startswith(VALGRIND_SAYS)]
    return said[-1] if said else f"ended with status {child.returncode}"


def count_child(module: str, *arguments: str) -> int:
    """Instructions of `python -m module arguments…`, from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="callgrind-") as folder:
        profile = Path(folder, "profile")
        words = [
            valgrind(),
            "--tool=callgrind",
            f"--callgrind-out-file={profile}",
            *(sys.executable, "-m", module, *arguments),
        ]
        # Another seed gives sets and dicts another order, and with it the start of Python another length.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        try:
            child = subprocess.run(
                words,
                check=False,
                env=environment,
                capture_output=True,
                text=True,
                timeout=CHILD_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise CountingFailed(f"{' '.join(words)}: longer than {CHILD_TIMEOUT_S} s") from None
        if child.returncode != 0:
            raise CountingFailed(f"{' '.join(words)}: {last_words(child)}")
        return total_instructions(profile.read_text())
