"""What the node has of us: the launcher among its plugins, and an entry in the list that its runtime reads.

Every file is replaced whole, so that whoever reads it sees the old one or the new one. Beside a list that was
changed stands what it was before, under a name that no runtime reads; at the end it is put back, byte for
byte, unless others have changed the list since: then only our entry is taken out.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from linkerd2_py.controlplane.cni import conflist
from linkerd2_py.controlplane.cni.conflist import ConflistError
from linkerd2_py.controlplane.kubernetes_api import Json

logger = logging.getLogger(__name__)

BEFORE: Final = ".before-linkerd-cni"
_FRESH: Final = ".linkerd-cni-new"
_PROGRAM_MODE: Final = 0o755


class HostError(Exception):
    """The node cannot be set up; in one line, why."""


@dataclass(frozen=True, slots=True)
class Host:
    """The node's folders as this process sees them, and the launcher that is copied there."""

    programs: Path
    lists: Path
    launcher: Path


class Installation:
    """Kept up by calling `look` whenever something may have changed. `problem` says why pods of this node
    would get no rules; empty: they do. `entry` gives our entry, as it should be now.
    """

    def __init__(self, host: Host, *, entry: Callable[[], Json]) -> None:
        self.problem = "nothing is set up yet"
        self._host = host
        self._entry = entry
        self._told = ""

    def look(self) -> None:
        """Do what is missing. Never raises: what cannot be done now is tried again at the next look."""
        try:
            self._copy_launcher()
            problem = self._chain()
        except (OSError, HostError) as error:
            problem = _reason(error)
        self.problem = problem
        if problem != self._told:
            log = logger.warning if problem else logger.info
            log("%s", problem or "this node's pods get their rules")
            self._told = problem

    def put_back(self) -> None:
        """Leave nothing on the node: first nobody calls us any more, then we are gone."""
        left = False
        for path in self._all() if self._host.lists.is_dir() else ():
            try:
                self._put_back(path)
            except (OSError, ConflistError) as error:
                left = left or conflist.TYPE.encode() in _bytes(path)
                logger.warning("%s: is left as it is: %s", path.name, _reason(error))
        if not left:
            # What is still there is of lists that others have deleted since.
            for kept in self._host.lists.glob(f"*{BEFORE}"):
                kept.unlink()
        (self._host.programs / conflist.TYPE).unlink(missing_ok=True)

    def _copy_launcher(self) -> None:
        wanted, target = self._host.launcher.read_bytes(), self._host.programs / conflist.TYPE
        with suppress(FileNotFoundError):
            there = target.lstat()
            usable = stat.S_ISREG(there.st_mode) and there.st_mode & 0o777 == _PROGRAM_MODE
            if usable and target.read_bytes() == wanted:
                return
        _replace(target, data=wanted, mode=_PROGRAM_MODE)
        logger.info("%s is installed", conflist.TYPE)

    def _chain(self) -> str:
        """Our entry is in the first list that a runtime can use. The problem, if there is one."""
        unusable = []
        for path in self._all():
            try:
                found = _open(path)
                wanted = conflist.with_plugin(found.network, self._entry())
            except (ConflistError, OSError) as error:
                unusable.append(f"{path.name}: {_reason(error)}")
                continue
            if wanted is not None:
                self._change(path, found, wanted)
            # It may be that the runtime stops there, or that it goes on, as we did.
            return "; ".join(unusable)
        unusable = unusable or ["no list of plugins is there yet"]
        return "; ".join(unusable)

    def _change(self, path: Path, found: _File, wanted: Json) -> None:
        target = path if found.is_list else path.with_suffix(".conflist")
        if not conflist.has_plugin(found.network):
            _replace(_before(path), data=found.data, like=found.status)
        if target != path:
            _keep(target)
        # Whoever has written it meanwhile is heard of, and then it is looked at again.
        if not _is_still(path, found.status):
            raise HostError(f"{path.name}: is being changed by somebody else")
        _replace(target, data=conflist.render(wanted), like=found.status)
        if target != path:
            # Its bytes are kept beside it, and runtimes would read it first.
            path.unlink()
        logger.info("%s: has our entry", target.name)

    def _put_back(self, path: Path) -> None:
        found = _open(path)
        if not conflist.has_plugin(found.network):
            return
        theirs = conflist.without_plugin(found.network)
        for original in _originals(path):
            if _holds(_before(original), theirs):
                if original != path:
                    # What it took the place of, if there was anything.
                    with suppress(FileNotFoundError):
                        _before(path).replace(path)
                _before(original).replace(original)
                if original != path and _opened_with_entry(path):
                    path.unlink()
                logger.info("%s: is as it was", original.name)
                return
        _replace(path, data=conflist.render(theirs), like=found.status)
        logger.info("%s: is without our entry", path.name)

    def _all(self) -> list[Path]:
        """In the order in which runtimes look at them."""
        names = sorted(entry.name for entry in self._host.lists.iterdir())
        return [self._host.lists / name for name in names if name.endswith(conflist.ENDINGS)]


class _File(NamedTuple):
    data: bytes
    status: os.stat_result
    is_list: bool
    network: Json


def _open(path: Path) -> _File:
    """Raises `ConflistError` or OSError. A link leads out of what we see of the node, and a pipe nowhere."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConflistError("it is not a file")
        data = file.read(conflist.LARGEST + 1)
    network = conflist.read(data)
    return _File(data, status, conflist.is_list(data), network)


def _keep(path: Path) -> None:
    """Before something else takes its place."""
    with suppress(FileNotFoundError, ConflistError):
        found = _open(path)
        if not conflist.has_plugin(found.network):
            _replace(_before(path), data=found.data, like=found.status)


def _holds(kept: Path, network: Json) -> bool:
    """Whether it is there, and means this."""
    with suppress(FileNotFoundError, ConflistError):
        return _open(kept).network == network
    return False


def _opened_with_entry(path: Path) -> bool:
    with suppress(FileNotFoundError, ConflistError):
        return conflist.has_plugin(_open(path).network)
    return False


def _is_still(path: Path, status: os.stat_result) -> bool:
    with suppress(FileNotFoundError):
        now = path.lstat()
        return (now.st_ino, now.st_mtime_ns, now.st_size) == (
            status.st_ino,
            status.st_mtime_ns,
            status.st_size,
        )
    return False


def _bytes(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else b""
    return b""


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}{BEFORE}")


def _originals(path: Path) -> Iterator[Path]:
    """Which files a list may have been made from."""
    yield path
    for ending in conflist.ENDINGS:
        if ending != path.suffix:
            yield path.with_suffix(ending)


def _replace(
    path: Path, *, data: bytes, mode: int = 0o644, like: os.stat_result | None = None
) -> None:
    """At once, and on disk. OSError leaves what was there."""
    fresh = path.with_name(f".{path.name}{_FRESH}")
    try:
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(data)
            if like is not None:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), mode if like is None else stat.S_IMODE(like.st_mode))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return str(error)
