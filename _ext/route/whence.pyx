# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""From a half to its connection, whatever protocol is spoken there."""

from linkerd2_py._ext.http1.session cimport Http1Half
from linkerd2_py._ext.http2.half cimport Http2Half


cdef Transport transport_of(Stream half):
    if isinstance(half, Http1Half):
        return None if (<Http1Half> half).session is None else (<Http1Half> half).session.transport
    if isinstance(half, Http2Half):
        return None if (<Http2Half> half).session is None else (<Http2Half> half).session.transport
    return None
