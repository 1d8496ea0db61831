"""Loopback addresses and ports for pods: one address per replica, from a slice no other mesh has.

A slice is 127.0.x.0/24. It is claimed by an abstract socket that is named after it, which the
kernel gives back when the supervisor ends, however it ends. Ports at an address that meshes share
are claimed alike. Everybody can take such names, and so keep nothing from us: where all are taken,
any that another user has is shared, under a name with our own number, for whether a port is free is
seen by binding it. A port is bound long after it is picked, so none is picked that the kernel may give
to an outgoing connection meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import struct
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from linkerd2_py.controlplane.local.place.place import AddressError

_SLICES: Final = range(16, 256)
_HOSTS: Final = range(1, 255)
_FIRST_PORT: Final = 1024
_LAST_PORT: Final = 65535
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_EPHEMERAL: Final = range(32768, 61000)
_CREDENTIALS: Final = struct.Struct("3i")
"""struct ucred of unix(7): process, user, group."""


class AddressPool:
    """Hands out addresses and takes them back; one given back is reused as late as possible."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []
        self._free: deque[str] = deque()
        self._slices = iter(_SLICES)
        # Not the first: whoever shares is to meet others, who share too, as late as possible.
        shuffled = random.sample(_SLICES, len(_SLICES))
        self._taken_by_others = (third for third in shuffled if of_another_user(_slice(third)))

    def take(self) -> str:
        """An address that no pod of any mesh on this machine has. AddressError if all are used."""
        if not self._free:
            self._free.extend(self._claim_slice())
        return self._free.popleft()

    def give_back(self, address: str) -> None:
        self._free.append(address)

    def close(self) -> None:
        """Give up every slice. May be repeated."""
        while self._claims:
            self._claims.pop().close()
        self._free.clear()

    def _claim_slice(self) -> Iterator[str]:
        for third in self._slices:
            claimed = claim(_slice(third))
            if claimed is not None:
                self._claims.append(claimed)
                return _addresses(third)
        for third in self._taken_by_others:
            name = f"{_slice(third)}-of-{os.geteuid()}"
            claimed = claim(name)
            if claimed is not None:
                self._claims.append(claimed)
            elif not of_another_user(name):
                continue
            return _addresses(third)
        raise AddressError("no free slice of 127.0.0.0/16 is left for pod addresses")


class PortPicker:
    """Ports at one address; never the same twice. `shared` if other meshes have the address too."""

    def __init__(self, address: str, *, shared: bool = False) -> None:
        self._address = address
        self._shared = shared
        self._given: set[int] = set()
        self._claims: list[socket.socket] = []

    def pick(self, preferred: int) -> int:
        """`preferred` if it can be bound now, else the next that can. AddressError if there is none."""
        for is_free in (self._is_free, self._is_bindable):
            for port in _candidates(preferred):
                if port not in self._given and is_free(port):
                    self._given.add(port)
                    return port
        raise AddressError(f"no free port is left at {self._address}")

    def close(self) -> None:
        """Let other meshes have the ports. May be repeated."""
        while self._claims:
            self._claims.pop().close()

    def _is_free(self, port: int) -> bool:
        if not _can_bind(self._address, port=port):
            return False
        if not self._shared:
            return True
        claimed = claim(self._name(port))
        if claimed is not None:
            self._claims.append(claimed)
        return claimed is not None

    def _is_bindable(self, port: int) -> bool:
        """Free, though another user says that it is not."""
        return of_another_user(self._name(port)) and _can_bind(self._address, port=port)

    def _name(self, port: int) -> str:
        return f"port-{self._address}-{port}"


def ephemeral_ports() -> range:
    """Ports that the kernel gives to outgoing connections."""
    try:
        first, last = map(int, _EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        return _USUAL_EPHEMERAL
    return range(first, last + 1)


def _candidates(preferred: int) -> Iterator[int]:
    """What was asked for, then upwards and round, first where the kernel does not look."""
    ephemeral = ephemeral_ports()
    yield preferred
    start = max(preferred + 1, _FIRST_PORT)
    others = [*range(start, _LAST_PORT + 1), *range(_FIRST_PORT, min(start, _LAST_PORT + 1))]
    outside = (port for port in others if port not in ephemeral)
    yield from chain(outside, (port for port in others if port in ephemeral))


def claim(name: str) -> socket.socket | None:
    """A name no other process has while the socket is open; None if one has it."""
    claimed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claimed.bind(_abstract(name))
        # Only to who listens can be connected, and so be asked for its user.
        claimed.listen(1)
    except OSError:
        claimed.close()
        return None
    return claimed


def of_another_user(name: str) -> bool:
    """Whether the name is taken, and not by a mesh of this user's."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as asking:
        asking.setblocking(False)  # noqa: FBT003  # a method of the standard library
        try:
            asking.connect(_abstract(name))
        except BlockingIOError:
            # Its queue is full of questions like this one; the next mesh may ask again.
            return False
        except OSError:
            return _is_taken(name)
        credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return bool(_CREDENTIALS.unpack(credentials)[1] != os.geteuid())


def _is_taken(name: str) -> bool:
    claimed = claim(name)
    if claimed is not None:
        claimed.close()
    return claimed is None


def _abstract(name: str) -> str:
    return f"\0linkerd2-py-{name}"


def _slice(third: int) -> str:
    return f"slice-{third}"


def _addresses(third: int) -> Iterator[str]:
    return (f"127.0.{third}.{host}" for host in _HOSTS)


def _can_bind(address: str, *, port: int) -> bool:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL}:
                return False
            raise
        return True
