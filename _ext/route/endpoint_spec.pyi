from typing import TypeAlias

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.tls.identity import ServerIdentity

Labels: TypeAlias = tuple[tuple[str, str], ...]
NO_TLS: Labels
LOOPBACK: Labels
DISABLED: Labels
NOT_FROM_REMOTE: Labels

class EndpointSpec:
    """One endpoint as discovery names it. `h2`: a meshed peer that takes HTTP/2 and l5d-orig-proto.
    `labels` become dst_*. `peer`: who must answer there, over TLS and in no other way. `tls` are the labels
    that say how connections to it are secured, or why not; unless given they follow from `peer`. `other`:
    where the same program may listen instead; a connect that `address` refuses is tried there, once. Not
    together with `peer`. `opaque`: HTTP goes there as it is spoken, in connections that the peer proxy does
    not look into. `http2`: the limits of its HTTP/2 connections, in place of those of its table; the same
    object for the same limits. `pings_idle`: they are asked whether they live while they have no stream,
    too. `weight`: what its share of the load is in proportion to, in ten thousandths; 0 is as good as 10,000.
    `near`: it is preferred to those that are not."""

    address: Address
    h2: bool
    opaque: bool
    labels: Labels
    tls: Labels
    peer: ServerIdentity | None
    other: Address | None
    http2: Limits | None
    pings_idle: bool
    weight: int
    near: bool
    def __init__(
        self,
        address: Address,
        *,
        h2: bool = False,
        labels: Labels = (),
        tls: Labels | None = None,
        peer: ServerIdentity | None = None,
        other: Address | None = None,
        opaque: bool = False,
        http2: Limits | None = None,
        pings_idle: bool = True,
        weight: int = 10_000,
        near: bool = False,
    ) -> None: ...
