"""Who this proxy is, and whom it expects somewhere else."""

from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.tls.credentials cimport Credentials

cdef class LocalIdentity:
    cdef readonly str name
    cdef bytes raw_name
    # Owned; None before the first install. A connection keeps the ones it began with.
    cdef readonly Credentials credentials
    # callable(inbound: bool, peer: Address or None, reason: str), or None: for the log. Called from the loop.
    cdef public object on_failure
    cdef int tell_failure(self, bint inbound, Address peer, str reason) except -1

cdef class ServerIdentity:
    """Who must answer at an endpoint, and how it is asked for. Value object."""
    cdef bytes raw_name, raw_server_name
    cdef readonly str name                    # the only name its certificate may have
    cdef readonly str server_name             # what SNI says
    # Where connections that begin with a transport header go; 0: to the endpoint's own port, without.
    cdef readonly int tunnel_port
