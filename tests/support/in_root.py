"""Becomes a program in the root of an image, as a container runtime starts it: read-only, with /proc and /dev,
as an ordinary user without capabilities but those that are named, and without a way to new ones.

    python -m tests.support.in_root ROOT UID CAPABILITIES [FOLDER …] -- PROGRAM [WORD …]

CAPABILITIES are numbers with commas, or nothing. Each FOLDER of this machine is there under its own name,
writable; /tmp and /run are empty and writable.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 8, 24, 38
LAST_CAPABILITY = 40
CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    words = [word.encode() if word else None for word in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def enter(root: Path, folders: Sequence[str]) -> None:
    """This process's root is that folder, in a mount namespace that ends with it."""
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount(str(root), str(root), None, MS_BIND)
    _mount("proc", f"{root}/proc", "proc", 0)
    _mount("/dev", f"{root}/dev", None, MS_BIND | MS_REC)
    for name in ("tmp", "run"):
        _mount("tmpfs", f"{root}/{name}", "tmpfs", 0, "mode=1777")
    for folder in folders:
        inside = Path(f"{root}{folder}")
        inside.mkdir(parents=True)
        _mount(folder, str(inside), None, MS_BIND)
    _mount(None, str(root), None, MS_REMOUNT | MS_BIND | MS_RDONLY)
    os.chroot(root)
    os.chdir("/")


def become(uid: int, capabilities: Sequence[int]) -> None:
    """That user, with these permitted and in effect until the next exec, which may not add any."""
    for number in range(LAST_CAPABILITY + 1):
        if number not in capabilities:
            _check(_libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "drop")
    _check(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    bits = sum(1 << number for number in capabilities)
    header = struct.pack("<Ii", CAPABILITY_VERSION_3, 0)
    sets = struct.pack("<IIIIII", bits, bits, 0, bits >> 32, bits >> 32, 0)
    _check(_libc.capset(header, sets), "capset")
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")


def main(words: Sequence[str]) -> None:
    """Does not come back."""
    end = words.index("--")
    root, uid, capabilities, *folders = words[:end]
    enter(Path(root), folders)
    become(int(uid), [int(number) for number in capabilities.split(",") if number])
    program = words[end + 1 :]
    os.execv(program[0], [*program])


if __name__ == "__main__":
    main(sys.argv[1:])
