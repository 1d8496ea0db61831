"""A line for each request that the inbound servers are asked, where somebody wants an access log."""

from __future__ import annotations

import logging
import os
import stat
from typing import Final

from linkerd2_py._ext.observers.access_log import AccessLog
from linkerd2_py._ext.observers.lines import Lines
from linkerd2_py.proxy.build.parts import Parts

logger = logging.getLogger(__name__)

STDERR: Final = 2
"""Where Linkerd's proxies write it."""


def build_access_log(parts: Parts) -> None:
    """Built before the servers whose requests it is about."""
    style = parts.config.logs.access
    if not style:
        return
    fd, asks = _sink(STDERR)
    if fd != STDERR:
        parts.closers.append(lambda: os.close(fd))
    lines = Lines(parts.engine, parts.registry, fd=fd, asks=asks, on_lost=_on_lost)
    parts.closers.append(lines.close)
    parts.access_log = AccessLog(parts.engine, lines, json=style == "json")


def _sink(fd: int) -> tuple[int, bool]:
    """A descriptor to write to that never waits, or `fd` and that it may. Whether one waits is said of what
    was opened, which `fd` may share with other processes: so a pipe or a terminal is opened once more.
    A file does not wait for anybody, and keeps what others write at its end in place only under `fd`.
    """
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        return fd, stat.S_ISSOCK(mode)
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{fd}", flags), False
    except OSError:
        # No /proc, or it belongs to another user.
        return fd, True


def _on_lost(lines: int) -> None:
    logger.warning(
        "%d lines of the access log were lost: what it is written to was not read fast enough",
        lines,
    )
