"""HTTP/1 carried over HTTP/2 between two proxies: the `l5d-orig-proto` header, exactly as Linkerd writes
and reads it."""

from linkerd2_py._ext.exchange.head cimport Head, Version

# Outbound: marks an HTTP/1 request for its way over HTTP/2; returns the index of the field added.
cdef int mark_request(Head head) except -1
# Inbound: if the HTTP/2 request carries the header, drops it and restores version, form and Host; whether
# it did. An unknown value counts as absent.
cdef bint restore_request(Head head) except -1
# Removes the header without believing it.
cdef int strip(Head head) noexcept
# Inbound: tells the peer proxy which version the workload answered with.
cdef int mark_response(Head head, Version version) except -1
# Outbound: drops the header, restores the version.
cdef int restore_response(Head head) except -1
