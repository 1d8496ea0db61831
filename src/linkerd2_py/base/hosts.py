"""Which `Host` a listener for tools answers to: a page of a stranger's, whose name was made to lead here,
sends that name.

Nobody can make an IP literal lead elsewhere, and `localhost` and the names of a cluster are given by who runs
it.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Final

_CLUSTER: Final = (".localhost", ".svc", ".cluster.local")


def is_answered(authority: str, *, names: Collection[str]) -> bool:
    """Whether to answer a request for `authority` (`host`, `host:port`; empty: none was sent). `names` are
    lower-case.
    """
    host = _host_of(authority).lower().removesuffix(".")
    known = not authority or host == "localhost" or host in names or host.endswith(_CLUSTER)
    return known or _is_ip(host)


def _host_of(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    host, colon, _port = authority.rpartition(":")
    return host if colon and ":" not in host else authority


def _is_ip(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True
