"""Loads the texts: both families or neither, in the network namespace this process is in."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

from linkerd2_py.proxy.pod.init import programs as chosen
from linkerd2_py.proxy.pod.init.programs import ProgramMissingError, Programs
from linkerd2_py.proxy.pod.init.rules import (
    Family,
    Redirection,
    cleanup_text,
    count_rules,
    missing_rules,
    restored_text,
)

logger = logging.getLogger(__name__)

MakeText = Callable[[Family, str], str]
"""(family, existing rules) -> what to load; empty: nothing."""


class RefusedError(Exception):
    """The kernel or a program refused; the text is one line that says what to do."""


class Backend(NamedTuple):
    """The programs of one family, and whether to wait for others that change rules."""

    family: Family
    programs: Programs
    wait: bool

    @property
    def restore_argv(self) -> list[str]:
        return [self.programs.restore, "--noflush", *(["--wait"] if self.wait else [])]

    def existing(self) -> str:
        """The rules of table nat. RefusedError if they cannot be read."""
        return _run([self.programs.save, "-t", "nat"], text="", family=self.family)

    def load(self, text: str) -> None:
        """All of `text` or, with a RefusedError, nothing of it."""
        logger.debug("%s reads:\n%s", " ".join(self.restore_argv), text)
        _run(self.restore_argv, text=text, family=self.family)


def apply(backends: Sequence[Backend], *, make_text: MakeText) -> None:
    """Load each family's text. When one is refused, those before are put back as they were."""
    loaded: list[tuple[Backend, str]] = []
    for backend in backends:
        try:
            before = backend.existing()
            text = make_text(backend.family, before)
            if text:
                backend.load(text)
        except RefusedError as error:
            for earlier, was in reversed(loaded):
                _put_back(earlier, was=was, because=error)
            raise
        loaded.append((backend, before))
        what = f"{count_rules(text)} rules" if text else "nothing to do"
        logger.info("%s: %s for IPv%d", backend.programs.restore, what, backend.family)


def check(backends: Sequence[Backend], *, wanted: Redirection) -> None:
    """RefusedError where some rules are not there."""
    for backend in backends:
        family = backend.family
        missing = missing_rules(wanted, family=family, existing=backend.existing())
        if missing:
            raise RefusedError(f"IPv{family} lacks {', '.join(missing)}; set the rules again")


def simulate(backends: Sequence[Backend], *, make_text: MakeText) -> str:
    """Exactly what `apply` would load, with the commands as comments; what may not be read counts
    as empty.
    """
    parts = []
    for backend in backends:
        try:
            existing = backend.existing()
        except (RefusedError, ProgramMissingError) as error:
            logger.warning("%s; taking it that there are no rules yet", error)
            existing = ""
        parts.append(f"# {' '.join(backend.restore_argv)}\n{make_text(backend.family, existing)}")
    return "".join(parts)


def save(program: str, table: str) -> str:
    """For the choice of a backend: what it prints, or nothing where that is refused."""
    argv = [program, *(["-t", table] if table else [])]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def _put_back(backend: Backend, *, was: str, because: RefusedError) -> None:
    try:
        # First to nothing, so that jumps that are there already are not added twice.
        for text in (cleanup_text(existing=backend.existing()), restored_text(existing=was)):
            if text:
                backend.load(text)
    except RefusedError as error:
        family = backend.family
        raise RefusedError(
            f"{because}; IPv{family} could not be put back as it was: {error}"
        ) from error


def _run(argv: list[str], *, text: str, family: Family) -> str:
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        chosen.check(Programs(argv[0], argv[0]))
        raise
    if done.returncode == 0:
        return done.stdout
    words = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    raise RefusedError(f"{argv[0]}: {_reason(words)}; {_advice(words, family=family)}")


def _reason(words: Sequence[str]) -> str:
    """The line that says why: iptables ends with hints and begins with its own name."""
    telling = [line for line in words if not line.startswith(("Try ", "Perhaps", "Error occurred"))]
    return telling[0].rstrip(".") if telling else "failed without a word"


def _advice(words: Sequence[str], *, family: Family) -> str:
    if any("ermission denied" in line or "not permitted" in line for line in words):
        return "the capabilities NET_ADMIN and NET_RAW are needed"
    if family == 6:
        return "--ipv6=false leaves IPv6 alone"
    return "does the kernel have this backend? see --iptables-mode"
