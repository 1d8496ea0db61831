"""wrk, hey and h2load as people run them; whatever is not a success is a problem."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.wait import patience

CONNECTIONS: Final = 100
REQUESTS: Final = 2000
EMPTY_GRPC_MESSAGE: Final = b"\0\0\0\0\0"
LIST_ALL: Final = "emojivoto.v1.EmojiService/ListAll"


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the tools enter the mesh: addresses with a final slash."""

    web: str
    emoji: str


def run_all(doors: Doors, *, scratch: Path) -> list[str]:
    """Run every tool once; the whole output of each that met a problem."""
    runs = (wrk(doors.web), hey(doors.web), h2load(doors.web), grpc(doors.emoji, scratch=scratch))
    return [problem for problem in runs if problem]


def wrk(url: str) -> str:
    out = _run("wrk", "-t2", f"-c{CONNECTIONS}", "-d2s", url)
    # These lines are there only when there is something to say.
    bad = re.search(r"Socket errors:|Non-2xx or 3xx responses:", out)
    return "" if re.search(r"[1-9]\d* requests in", out) and not bad else out


def hey(url: str) -> str:
    out = _run("hey", "-c", str(CONNECTIONS), "-n", str(REQUESTS), url)
    statuses = re.findall(r"\[(\d+)\]\s+(\d+) responses", out)
    good = statuses == [("200", str(REQUESTS))] and "Error distribution" not in out
    return "" if good else out


def h2load(url: str, *more: str) -> str:
    out = _run("h2load", f"-c{CONNECTIONS}", "-m10", "-n", str(REQUESTS), *more, url)
    return "" if f"{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout" in out else out


def grpc(url: str, *, scratch: Path) -> str:
    """A failed call is a 200 without a message, so the bytes of the answers are counted too."""
    message = scratch / "empty.grpc"
    message.write_bytes(EMPTY_GRPC_MESSAGE)
    call = ("-d", str(message), "-H", "content-type: application/grpc", "-H", "te: trailers")
    one = _body_bytes(_run("h2load", "-n1", *call, url + LIST_ALL))
    out = _run("h2load", f"-c{CONNECTIONS}", "-m10", "-n", str(REQUESTS), *call, url + LIST_ALL)
    good = f"{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout" in out
    return "" if good and _body_bytes(out) == one * REQUESTS > 0 else f"one is {one}\n{out}"


def _body_bytes(out: str) -> int:
    found = re.search(r"\((\d+)\) data", out)
    return int(found[1]) if found else 0


def _run(*argv: str) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60 * patience(), check=False
    )
    return f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}"
