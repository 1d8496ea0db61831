"""Where traffic may go, as values."""

from __future__ import annotations

from typing import NamedTuple

from linkerd2_py.proxy.addresses import Authority
from linkerd2_py.proxy.discovery.messages import Endpoint


class Balanced(NamedTuple):
    """Among the endpoints of a name."""

    name: Authority


class Direct(NamedTuple):
    """To one endpoint."""

    endpoint: Endpoint


class Refused(NamedTuple):
    """Nowhere; with a status where HTTP is spoken."""

    status: int
    text: str


Way = Balanced | Direct | Refused
