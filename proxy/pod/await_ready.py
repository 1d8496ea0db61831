"""`linkerd-await`: ends when the proxy is ready, so that a pod's other containers start no earlier.

A hook runs it in the proxy's container while that starts, so it imports next to nothing.
"""

from __future__ import annotations

import os
import socket
import sys
import time

# As type checkers know it: whoever waits for a proxy waits for these imports, too.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 64  # EX_USAGE of sysexits.h
_PROGRAM: Final = "linkerd-await"
_DISABLED: Final = ("LINKERD_AWAIT_DISABLED", "LINKERD_DISABLED")
_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25
_ANSWER_S: Final = 1.0
_USAGE: Final = """usage: linkerd-await [--port PORT] [--timeout DURATION]

Waits until the proxy of this pod is ready: until http://127.0.0.1:PORT/ready answers 200.

  --port PORT         the proxy's admin port (default: 4191)
  --timeout DURATION  give up after this time, with status 1 (such as 30s, 2m; default: never)

A reason in LINKERD_AWAIT_DISABLED or LINKERD_DISABLED ends it at once.
"""


class _UsageError(Exception):
    """What is wrong with the command line, in one line."""


def main(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """0 when the proxy is ready, or nobody wants to wait; 1 when it is not in time; 64 for wrong usage."""
    if list(words) in (["--help"], ["-h"]):
        sys.stdout.write(_USAGE)
        return 0
    try:
        port, timeout = _parsed(words)
    except _UsageError as error:
        sys.stderr.write(f"{_PROGRAM}: {error}\n")
        return EXIT_USAGE
    for name in _DISABLED:
        if reason := environ.get(name):
            sys.stderr.write(f"{_PROGRAM}: does not wait: {name} is {reason!r}\n")
            return 0
    heard = _wait(port, timeout)
    if heard is None:
        return 0
    sys.stderr.write(f"{_PROGRAM}: the proxy was not ready in time: 127.0.0.1:{port} {heard}\n")
    return EXIT_FAILED


def _wait(port: int, timeout: float | None) -> str | None:
    """Nothing once it is ready; else what was heard last, when the time was over."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = _PAUSE_S
    while True:
        left = _ANSWER_S if deadline is None else deadline - time.monotonic()
        heard = _ask(port, timeout=max(min(left, _ANSWER_S), _PAUSE_S))
        if heard == "answers 200":
            return None
        if deadline is not None and time.monotonic() + pause >= deadline:
            return heard
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)


def _ask(port: int, *, timeout: float) -> str:
    """`answers STATUS`, or why there is no answer."""
    request = f"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as answer:
                words = answer.readline(256).split()
    except OSError as error:
        return f"does not answer ({error.strerror or 'no word in time'})"
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        return "answers, but not in HTTP"
    return f"answers {int(words[1])}"


def _parsed(words: Sequence[str]) -> tuple[int, float | None]:
    """Port and timeout."""
    port, timeout = 4191, None
    rest = list(words)
    while rest:
        name, glued, value = rest.pop(0).partition("=")
        if name not in {"--port", "--timeout", "-p", "-t"}:
            raise _UsageError(f"unexpected argument {name!r}; `{_PROGRAM} --help` tells more")
        if not glued:
            if not rest:
                raise _UsageError(f"{name} needs a value")
            value = rest.pop(0)
        if name in {"--port", "-p"}:
            port = _port(value)
        else:
            timeout = _seconds(value)
    return port, timeout


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536:
        return int(text)
    raise _UsageError(f"--port: {text!r} is no port (1 to 65535)")


def _seconds(text: str) -> float:
    from linkerd2_py.base.durations import parse_duration  # noqa: PLC0415  # not for the usage

    try:
        return parse_duration(text)
    except ValueError as error:
        raise _UsageError(f"--timeout: {error}") from None
