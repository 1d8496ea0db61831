"""What is counted of a target itself rather than of its endpoints: what its connections speak, and what could
not be served."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.metrics.detection cimport Detected, Detections
from linkerd2_py._ext.metrics.errors cimport Errors
from linkerd2_py._ext.metrics.http cimport ResponseError
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.series cimport Counter

cdef class Tally:
    """Series are looked up when something is counted first, and kept."""
    cdef Registry registry
    cdef bytes direction          # as names of families begin with it
    # Of its parent or, inbound, of the server of policy that it belongs to; as text, may be empty
    cdef bytes owner
    cdef bytes address            # what it is addressed to, as text; may be empty
    # Outbound: what discovery says of its protocol, as a label
    cdef bytes protocol
    cdef Detections detections
    cdef Errors http, tcp
    cdef Counter connections
    # What a connection speaks is being looked at: from now on the series are there.
    cdef int expect(self) except -1
    cdef int detected(self, Detected result, int64_t took_ns) except -1
    cdef int http_failed(self, ResponseError error) except -1
    cdef int tcp_failed(self, ResponseError error) except -1
    cdef int came(self) except -1                # a connection, before anything came over it

cdef Tally new_tally(Registry registry, str direction, bytes owner, bytes address, bytes protocol)
# `target_addr` and its parts, as labels say them
cdef tuple target_labels(Address address)
# The same of a key, host:port, which may be a name: that has no IP.
cdef bytes key_labels(bytes key)
