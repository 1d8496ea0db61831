"""Loopback addresses and ports for pods: one address per replica, from a slice no other mesh has.

A slice is 127.0.x.0/24. It is claimed by binding an abstract socket named after it, which the
kernel gives back when the supervisor ends, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import deque
from collections.abc import Iterator
from typing import Final

_SLICES: Final = range(16, 256)
_HOSTS: Final = range(1, 255)
_TRIES: Final = 16


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
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0linkerd2-py-slice-{third}")
            except OSError:
                claim.close()
                continue
            self._claims.append(claim)
            return (f"127.0.{third}.{host}" for host in _HOSTS)
        raise AddressError("no free slice of 127.0.0.0/16 is left for pod addresses")


class PortPicker:
    """Ports at one address; never the same twice."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._given: set[int] = set()

    def pick(self, preferred: int) -> int:
        """`preferred` if it can be bound now, else a free one. AddressError if there is none."""
        for port in (preferred, *([0] * _TRIES)):
            found = _try_bind(self._address, port=port)
            if found and found not in self._given:
                self._given.add(found)
                return found
        raise AddressError(f"no free port is left at {self._address}")


def _try_bind(address: str, *, port: int) -> int | None:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL}:
                return None
            raise
        bound: int = probe.getsockname()[1]
        return bound
