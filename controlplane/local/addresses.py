"""Loopback addresses and ports for pods: one address per replica, from a slice no other mesh has.

A slice is 127.0.x.0/24. It is claimed by binding an abstract socket named after it, which the
kernel gives back when the supervisor ends, however it ends. Ports at an address that meshes share
are claimed alike. A port is bound long after it is picked, so none is picked that the kernel may
give to an outgoing connection meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

_SLICES: Final = range(16, 256)
_HOSTS: Final = range(1, 255)
_FIRST_PORT: Final = 1024
_LAST_PORT: Final = 65535
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_EPHEMERAL: Final = range(32768, 61000)


class AddressError(Exception):
    """No address or port is left; the text is one line for a person."""


class AddressPool:
    """Hands out addresses and takes them back; one given back is reused as late as possible."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []
        self._free: deque[str] = deque()
        self._slices = iter(_SLICES)

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
            claimed = claim(f"slice-{third}")
            if claimed is None:
                continue
            self._claims.append(claimed)
            return (f"127.0.{third}.{host}" for host in _HOSTS)
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
        for port in _candidates(preferred):
            if port not in self._given and self._is_free(port):
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
        claimed = claim(f"port-{self._address}-{port}")
        if claimed is not None:
            self._claims.append(claimed)
        return claimed is not None


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
        claimed.bind(f"\0linkerd2-py-{name}")
    except OSError:
        claimed.close()
        return None
    return claimed


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
