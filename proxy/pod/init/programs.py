"""Which programs speak to the packet filter: iptables has two backends, and their rules do not see each
other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from linkerd2_py.proxy.pod.init.rules import Family

Mode = Literal["legacy", "nft", "plain", "auto"]
Save = Callable[[str, str], str]
"""(program, table or nothing) -> what it prints; empty where it is missing or refused."""

_OF_KUBERNETES: Final = ("KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY")


class Programs(NamedTuple):
    """The two programs of one family."""

    restore: str
    save: str


class ProgramMissingError(Exception):
    """No program to use; the text is one line that says what to do."""


def named(base: str, save: str, *, family: Family) -> Programs:
    """Those of `--firewall-bin-path` and, where given, `--firewall-save-bin-path`."""
    base, save = _of_family(base, family=family), _of_family(save, family=family)
    return Programs(restore=f"{base}-restore", save=save or f"{base}-save")


def of_mode(mode: Literal["legacy", "nft", "plain"], *, family: Family) -> Programs:
    """Those of one backend; `plain` is whichever the system calls just iptables."""
    return named("iptables" if mode == "plain" else f"iptables-{mode}", "", family=family)


def usual_mode() -> Literal["legacy", "nft", "plain"]:
    """nft, as Linkerd does today, where it is installed; else legacy; else what the system has."""
    for mode in ("nft", "legacy"):
        if shutil.which(of_mode(mode, family=4).restore):
            return mode
    return "plain"


def detected_mode(save: Save) -> Literal["legacy", "nft"]:
    """The backend that this network already uses: Kubernetes' marks, else more rules, else legacy."""
    nft, legacy = of_mode("nft", family=4).save, of_mode("legacy", family=4).save
    if _has_marks(save(nft, "mangle")):
        return "nft"
    if _has_marks(save(legacy, "mangle")):
        return "legacy"
    return "nft" if _count(save(nft, "")) > _count(save(legacy, "")) else "legacy"


def check(programs: Programs) -> None:
    """ProgramMissingError if one of them is not there."""
    for program in programs:
        if shutil.which(program) is None:
            raise ProgramMissingError(
                f"{program} is not installed: install the package iptables, or choose another --iptables-mode"
            )


def _of_family(path: str, *, family: Family) -> str:
    if family == 4 or not path:
        return path
    folder, name = os.path.split(path)
    return os.path.join(folder, name.replace("iptables", "ip6tables", 1))  # noqa: PTH118  # bare stays bare


def _has_marks(saved: str) -> bool:
    return any(mark in saved for mark in _OF_KUBERNETES)


def _count(saved: str) -> int:
    return sum(line.startswith("-") for line in saved.splitlines())
