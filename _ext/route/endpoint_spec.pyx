# cython: language_level=3
"""Specifications, and the labels that say why a connection is no TLS."""

cdef enum:
    WHOLE = 10000

NO_TLS = (("tls", "no_identity"), ("no_tls_reason", "not_provided_by_service_discovery"))
LOOPBACK = (("tls", "no_identity"), ("no_tls_reason", "loopback"))
DISABLED = (("tls", "no_identity"), ("no_tls_reason", "disabled"))
NOT_FROM_REMOTE = (("tls", "no_identity"), ("no_tls_reason", "no_tls_from_remote"))


cdef class EndpointSpec:
    def __init__(
        self, Address address not None, *, bint h2=False, tuple labels=(), tuple tls=None,
        ServerIdentity peer=None, Address other=None, bint opaque=False, Limits http2=None,
        bint pings_idle=True, uint32_t weight=WHOLE, bint near=False,
    ):
        if other is not None and peer is not None:
            raise ValueError(f"{address}: a peer that proves who it is has one address")
        self.address = address
        self.other = other
        self.h2 = h2
        self.opaque = opaque
        self.http2 = http2
        self.pings_idle = pings_idle
        self.weight = weight or WHOLE
        self.near = near
        self.labels = labels
        self.peer = peer
        if tls is None:
            tls = NO_TLS if peer is None else (("tls", "true"), ("server_id", peer.name))
        self.tls = tls

    cdef int same(self, EndpointSpec other) except -1:
        if self.h2 != other.h2 or self.opaque != other.opaque or self.other != other.other:
            return False
        if self.http2 is not other.http2 or self.pings_idle != other.pings_idle:
            return False
        return self.labels == other.labels and self.tls == other.tls and self.peer == other.peer

    def __repr__(self):
        return f"EndpointSpec({self.address}, h2={bool(self.h2)}, labels={self.labels!r})"
