"""Work that goes on, niced, while something else runs, which comes first."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(module: str, *words: str) -> Iterator[Callable[[], None]]:
    """Runs a module; what is yielded waits for it, and tells of it as a step does.

    Whoever does not wait has no use for what it makes: all its processes are ended, too.
    """
    child = subprocess.Popen(
        ["nice", "-n", "19", sys.executable, "-m", module, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )

    def wait() -> None:
        said, _ = child.communicate()
        print(said, end="", flush=True)
        if child.returncode:
            sys.exit(1)

    try:
        yield wait
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            child.communicate()
