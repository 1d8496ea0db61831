"""The ways from a client to a server that an exchange must not be able to tell apart."""

from functools import cache
from typing import Any

import pytest

from linkerd2_py._ext.tls.identity import ServerIdentity
from tests.support.engine import Engine
from tests.support.workloads import MeshAuthority, identity_of, name_of

ONE, TWO, TLS, HEADER = "one proxy", "two proxies", "over TLS", "over TLS with a header"
every_way = pytest.mark.parametrize("way", [ONE, TWO, TLS, HEADER])
WORKLOAD_PORT = 8080


@cache
def mesh() -> MeshAuthority:
    """One authority for a whole run: making keys takes longer than a test."""
    return MeshAuthority()


def way_to(
    made: Engine,
    server: tuple[str, int],
    *,
    way: str,
    opaque: bool = False,
    authority_labels: bool = False,
) -> tuple[str, int]:
    """Where a client connects to reach `server`. TLS ends at an opaque port only behind a header. Proxies
    tell each other the names that they count by.
    """
    tells: dict[str, Any] = {"tells_names": authority_labels}
    if way == ONE:
        return made.outbound(server, opaque=opaque)[1]
    if way == TWO:
        inbound = made.inbound(server, opaque=opaque, authority_labels=authority_labels)
        return made.outbound(inbound, h2=not opaque, opaque=opaque, **tells)[1]
    caller, callee = identity_of(mesh(), "web"), identity_of(mesh(), "voting")
    if way == HEADER or opaque:
        direct = made.direct(
            server, port=WORKLOAD_PORT, identity=callee, authority_labels=authority_labels
        )
        return made.outbound(
            (direct[0], WORKLOAD_PORT),
            h2=not opaque,
            opaque=opaque,
            identity=caller,
            peer=ServerIdentity(name_of("voting"), tunnel_port=direct[1]),
            **tells,
        )[1]
    inbound = made.inbound(server, identity=callee, authority_labels=authority_labels)
    peer = ServerIdentity(name_of("voting"))
    return made.outbound(inbound, h2=True, identity=caller, peer=peer, **tells)[1]
