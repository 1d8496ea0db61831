"""The HTTP/1 server codec: a session that turns a client's bytes into server halves of exchanges, one at a time, in order."""

from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.exchange.limits cimport Limits
from linkerd2_py._ext.exchange.stream cimport Dispatch, Stream
from linkerd2_py._ext.io.transport cimport Session, Transport

cdef class Http1Server(Session):
    """Attach to a transport (its inbox may hold the first bytes). Keep-alive, pipelining (the next head is parsed only when the current exchange ended:
    PAUSE_TURN), Expect, Upgrade/CONNECT, head timeout. `drain()` closes when idle, else adds connection: close to the current response."""
    cdef Dispatch dispatch
    cdef Limits limits
    cdef int drain(self) except -1

cdef class Http1ServerHalf(Stream):
    pass    # one per connection, reused for each exchange of it
