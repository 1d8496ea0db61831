"""Network namespaces that a test makes for itself, as root."""

import ctypes
import itertools
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.privileges import need_root

_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x4000_0000


def sh(*words: str, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its words are in the failure when it fails."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


@contextmanager
def namespace(*commands: str, label: str = "") -> Iterator[str]:
    """A namespace with loopback up, and `ip` commands run in it; gone at the end with all that runs there.
    `label` is the end of its name, for whoever looks at a machine while tests run.
    """
    need_root()
    name = f"l5dt-{os.getpid()}-{next(_numbers)}{label and f'-{label}'}"
    sh("ip", "netns", "add", name)
    try:
        sh("ip", "-n", name, "-batch", "-", text="\n".join(("link set lo up", *commands)))
        yield name
    finally:
        for pid in sh("ip", "netns", "pids", name).stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        sh("ip", "netns", "del", name)


def inside(
    name: str, *words: str, check: bool = True, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program in a namespace."""
    return sh("ip", "netns", "exec", name, *words, check=check, text=text)


@contextmanager
def entered(name: str) -> Iterator[None]:
    """This thread is in the namespace: sockets made in the block belong to it for good, whoever uses them
    later.
    """
    with Path("/proc/thread-self/ns/net").open() as ours, Path("/run/netns", name).open() as theirs:
        move_into(theirs.fileno())
        try:
            yield
        finally:
            move_into(ours.fileno())


def write_setting(name: str, setting: str, value: str) -> None:
    """Set a kernel parameter below /proc/sys/net of the namespace."""
    with entered(name):
        Path("/proc/sys/net", setting).write_text(value)


def move_into(descriptor: int) -> None:
    """This thread, into the network namespace that a file is."""
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def as_user(uid: int, words: Sequence[str]) -> list[str]:
    """The words that run a program as another user, who may still read the interpreter in a closed home
    folder.
    """
    kept = "+dac_read_search"
    return [
        *("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"),
        *(f"--inh-caps=-all,{kept}", f"--ambient-caps=-all,{kept}", f"--bounding-set=-all,{kept}"),
        *words,
    ]
