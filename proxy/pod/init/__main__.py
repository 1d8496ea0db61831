"""`python -m linkerd2_py.proxy.pod.init` and `linkerd2-py proxy-init`."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from linkerd2_py.base import logs
from linkerd2_py.base.streams import run_program
from linkerd2_py.proxy.pod.init import apply, programs
from linkerd2_py.proxy.pod.init.arguments import Options, UsageError, parse
from linkerd2_py.proxy.pod.init.rules import Family, cleanup_text, rules_text

EXIT_USAGE: Final = 64  # EX_USAGE of sysexits.h
_CLONE_NEWNET: Final = 0x40000000
_CLOSE_WAIT: Final = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait")
logger = logging.getLogger("linkerd2_py.proxy.pod.init")
_PROGRAM: Final = "linkerd2-py proxy-init"


def main(words: Sequence[str]) -> int:
    """Do what the command line says: 0, or one line on stderr and 64 (wrong usage) or 1 (refused)."""
    try:
        options = parse(words)
    except UsageError as error:
        return _complain(str(error), status=EXIT_USAGE)
    logs.configure(filter_text=options.log_level, style=options.log_format)
    try:
        _run(options)
    except (apply.RefusedError, programs.ProgramMissingError) as error:
        return _complain(str(error), status=1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror}", status=1)
    return 0


def _run(options: Options) -> None:
    if options.netns:
        _enter(options.netns)
    backends = _backends(options)

    def make_text(family: Family, existing: str) -> str:
        if options.wanted is None:
            return cleanup_text(existing=existing)
        return rules_text(options.wanted, family=family, existing=existing)

    if options.wanted is not None and options.wanted.uid is options.wanted.gid is None:
        logger.warning(
            "without --proxy-uid or --proxy-gid the proxy's own connections come back to it"
        )
    if options.check and options.wanted is not None:
        apply.check(backends, wanted=options.wanted)
        return
    if options.simulate:
        sys.stdout.write(apply.simulate(backends, make_text=make_text))
        return
    with _close_wait(options.close_wait_s):
        apply.apply(backends, make_text=make_text)


@contextmanager
def _close_wait(seconds: int) -> Iterator[None]:
    """The timeout is `seconds` from now on (0: as it is), unless the block fails. OSError if that
    is refused.
    """
    if not seconds:
        yield
        return
    before = _CLOSE_WAIT.read_text()
    _CLOSE_WAIT.write_text(str(seconds))
    try:
        yield
    except BaseException:
        _CLOSE_WAIT.write_text(before)
        raise


def _backends(options: Options) -> list[apply.Backend]:
    mode = options.mode
    if mode is None and not options.bin_path:
        mode = programs.usual_mode()
    elif mode == "auto":
        mode = programs.detected_mode(apply.save)
    found = []
    for family in options.families:
        if mode is None:
            pair = programs.named(options.bin_path, options.save_bin_path, family=family)
        else:
            pair = programs.of_mode(mode, family=family)
        # A simulation needs nothing to be there.
        if not options.simulate:
            programs.check(pair)
        found.append(apply.Backend(family=family, programs=pair, wait=options.wait))
    return found


def _enter(netns: str) -> None:
    """Go on in that network namespace. OSError if there is none or this user may not."""
    path = netns if "/" in netns else f"/run/netns/{netns}"
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)


def _complain(text: str, *, status: int) -> int:
    sys.stderr.write(f"{_PROGRAM}: {text}\n")
    return status


if __name__ == "__main__":
    sys.exit(run_program(_PROGRAM, lambda: main(sys.argv[1:])))
