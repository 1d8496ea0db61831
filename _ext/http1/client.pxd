"""The HTTP/1 client codec: one connection to an endpoint, one exchange at a time."""

from libc.stdint cimport int64_t, uint64_t
from linkerd2_py._ext.exchange.limits cimport Limits
from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Peer, Stream
from linkerd2_py._ext.io.transport cimport Session, Transport

cdef class Http1Client(Session):
    """Attached to a connected transport. Reports idle/retired/closed to its owner. Stale bytes or EOF while idle => closed, never reused.
    A connection that saw an Upgrade attempt or CONNECT, an early final response with the request body unfinished, or `connection: close` is never reused."""
    cdef ConnectionOwner owner
    cdef Limits limits
    cdef int64_t idle_since                 # loop ns; the pool ages idle connections
    cdef bint reusable
    cdef uint64_t exchanges
    cdef Stream open_stream(self, Peer peer)   # only when idle; the half to send_head on
    cdef int retire(self) except -1         # close now if idle, else after the current exchange
