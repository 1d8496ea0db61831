"""Network namespaces that a test makes for itself, as root."""

import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.privileges import need_root

_numbers = itertools.count()


def sh(*words: str, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its words are in the failure when it fails."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


@contextmanager
def namespace(*commands: str) -> Iterator[str]:
    """A namespace with loopback up, and `ip` commands run in it; gone at the end with all that runs there."""
    need_root()
    name = f"l5dt-{os.getpid()}-{next(_numbers)}"
    sh("ip", "netns", "add", name)
    try:
        for command in ("link set lo up", *commands):
            sh("ip", "-n", name, *command.split())
        yield name
    finally:
        for pid in sh("ip", "netns", "pids", name).stdout.split():
            sh("kill", "-9", pid, check=False)
        sh("ip", "netns", "del", name)


def inside(name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program in a namespace."""
    return sh("ip", "netns", "exec", name, *words, check=check)


def as_user(uid: int, words: Sequence[str]) -> list[str]:
    """The words that run a program as another user, who may still read the interpreter in a closed home folder."""
    kept = "+dac_read_search"
    return [
        *("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"),
        *(f"--inh-caps=-all,{kept}", f"--ambient-caps=-all,{kept}", f"--bounding-set=-all,{kept}"),
        *words,
    ]
