"""Folders of ours on a machine that others use too: made, written and removed only where nobody else can
reach in.

A way is trusted when nobody but root and this user can change a step of it. A folder is ours when this
user has it and it carries our mark, which is made first and removed last; what else lies beside it is
never touched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MARK: Final = ".made-by-linkerd2-py"
OWNER_ONLY: Final = 0o700
_LINKS_MAX: Final = 40
_AS_ASKED: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_ADVICE: Final = "choose another folder with $LINKERD2_PY_STATE_DIR"


class StateError(Exception):
    """Something of a mesh's state cannot be used; the text is one line for a person, with what to do."""


def check_way(path: Path) -> None:
    """StateError unless every step to `path` that exists, the last included, is changed by root and this
    user alone.
    """
    _check_steps(path.absolute(), links=0)


def check_own(path: Path) -> None:
    """StateError unless `path` is a folder that only this user writes in, on a trusted way."""
    check_way(path)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise StateError(f"{path} is not a folder: {_ADVICE}")
    if found.st_uid != os.geteuid():
        raise _belongs(path, found)
    if _open_to_others(found):
        raise StateError(f"others may write in {path}: {_ADVICE}")


def make_way(path: Path) -> None:
    """Make the folders that lead to `path`, where they are missing. OSError, StateError."""
    check_way(path)
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir(mode=0o755, exist_ok=True)


def make(folder: Path, *, mode: int = OWNER_ONLY, known_by: str = MARK) -> None:
    """A folder of ours, on a way that is trusted; one that is not empty must carry the mark or be
    `known_by` a file of that name. Its mode is changed only if it is new. StateError, OSError.
    """
    try:
        folder.mkdir(mode=OWNER_ONLY)
        fresh = True
    except FileExistsError:
        fresh = False
    with _opened(folder) as held:
        _check_ours(held, folder=folder, known_by=known_by)
        if MARK not in _names(held):
            os.close(os.open(MARK, os.O_WRONLY | os.O_CREAT | _AS_ASKED, 0o600, dir_fd=held))
        if fresh:
            os.fchmod(held, mode)


def check_free(folder: Path) -> None:
    """StateError if something of that name is there which `make` would refuse."""
    with contextlib.suppress(FileNotFoundError), _opened(folder) as held:
        _check_ours(held, folder=folder, known_by=MARK)


def remove(folder: Path) -> None:
    """Remove a folder of ours, with the folders in it. One that is not ours stays, and so do files that
    somebody put in ours. May be repeated.
    """
    with contextlib.suppress(OSError, StateError), _opened(folder) as held:
        if not _is_ours(held):
            return
        for name in _names(held):
            if stat.S_ISDIR(os.lstat(name, dir_fd=held).st_mode):
                shutil.rmtree(name, ignore_errors=True, dir_fd=held)
        if _names(held) == {MARK}:
            os.unlink(MARK, dir_fd=held)
            folder.rmdir()


def open_file(path: Path, flags: int) -> int:
    """Open a file that is for its owner only, made if `flags` say so; never through a link, never another
    user's or another kind of file. StateError, OSError.
    """
    try:
        fd = os.open(path, flags | _AS_ASKED | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise StateError(f"{path} is a symbolic link: move it away, or {_ADVICE}") from error
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
        os.set_blocking(fd, True)
        return fd
    os.close(fd)
    raise StateError(f"{path} is not a file of this user's: move it away, or {_ADVICE}")


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _AS_ASKED)
    except NotADirectoryError as error:
        raise StateError(f"{folder} is not a folder: move it away, or {_ADVICE}") from error
    try:
        yield held
    finally:
        os.close(held)


def _names(held: int) -> set[str]:
    return set(os.listdir(held))  # pathlib knows no descriptors


def _check_ours(held: int, *, folder: Path, known_by: str) -> None:
    names = _names(held)
    if os.fstat(held).st_uid != os.geteuid() or (names and not names & {MARK, known_by}):
        raise StateError(f"{folder} was not made by a local mesh: move it away, or {_ADVICE}")


def _is_ours(held: int) -> bool:
    try:
        mark = os.lstat(MARK, dir_fd=held)
    except FileNotFoundError:
        return False
    return {mark.st_uid, os.fstat(held).st_uid} == {os.geteuid()} and stat.S_ISREG(mark.st_mode)


def _check_steps(path: Path, *, links: int) -> None:
    if links > _LINKS_MAX:
        raise StateError(f"{path}: too many symbolic links: {_ADVICE}")
    for step in (*reversed(path.parents), path):
        try:
            found = step.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateError(f"{step}: {error.strerror}: {_ADVICE}") from error
        if found.st_uid not in _trusted_users():
            raise _belongs(step, found)
        if stat.S_ISLNK(found.st_mode):
            _check_steps(step.parent / step.readlink(), links=links + 1)
        elif _open_to_others(found) and not found.st_mode & stat.S_ISVTX:
            raise StateError(f"others may write in {step}: {_ADVICE}")


def _trusted_users() -> set[int]:
    # Who has the root directory decides about everything below; in a user namespace that may be nobody we
    # know.
    return {0, os.geteuid(), Path("/").stat().st_uid}


def _open_to_others(found: os.stat_result) -> bool:
    """Whether a group may write that is not root's or this user's first one, or everybody may."""
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid not in {0, os.getegid()}
    return bool(by_group or found.st_mode & stat.S_IWOTH)


def _belongs(path: Path, found: os.stat_result) -> StateError:
    try:
        name = f"{pwd.getpwuid(found.st_uid).pw_name} (uid {found.st_uid})"
    except KeyError:
        name = f"uid {found.st_uid}"
    return StateError(f"{path} belongs to {name}, not to this user: {_ADVICE}")
