"""Where traffic may go, as values."""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py.proxy.addresses import Authority, SocketAddr
from linkerd2_py.proxy.discovery.failure_accrual import FailureAccrual
from linkerd2_py.proxy.discovery.messages import Endpoint


class Balanced(NamedTuple):
    """Among the endpoints of a name. `accrual`: when routes leave them alone that say this of their own;
    None: when all others do.
    """

    name: Authority
    accrual: FailureAccrual | None = None


class Direct(NamedTuple):
    """To one endpoint."""

    endpoint: Endpoint


class Refused(NamedTuple):
    """Nowhere; with a status where HTTP is spoken, and for calls of gRPC a code; -1: one like the status.
    `why`: the word that metrics have of connections that end for it.
    """

    status: int
    text: str
    code: int = -1
    why: str = "unexpected"


Way = Balanced | Direct | Refused

HERE: Final = Direct(Endpoint(SocketAddr("", 0)))
"""The address itself that a policy is of, where several addresses have the same."""


def here(way: Way, address: SocketAddr) -> Way:
    """HERE where it leads to that address, whoever answers there."""
    if not isinstance(way, Direct) or way.endpoint.peer is not None:
        return way
    return HERE if way.endpoint.address == address else way


def guarded(way: Way, accrual: FailureAccrual | None) -> Way:
    """The same with breakers that only those have who go there by it."""
    return way._replace(accrual=accrual) if isinstance(way, Balanced) else way


def of_all(way: Way) -> Way:
    """The same without breakers of its own."""
    return guarded(way, None)
