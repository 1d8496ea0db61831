"""A server of gRPC whose calls Python answers: HTTP/2 from the first byte on, or inside TLS."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.http2.server cimport Http2Server
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.route.call cimport Calls
from linkerd2_py._ext.route.entry cimport Entry
from linkerd2_py._ext.tls.identity cimport LocalIdentity

cdef class CallServer(Calls):
    cdef Limits limits
    cdef int64_t idle_ns                  # how long a connection may be without calls
    cdef readonly Py_ssize_t connections_max
    cdef readonly Py_ssize_t refused      # connections that were one too many
    cdef LocalIdentity identity           # TLS for its name is ended here; None: there is none
    cdef int64_t patience_ns              # of those who come over TLS, with their handshake
    cdef list listeners
    cdef list doors                       # owned, one for each listener: drain breaks the cycle
    # CallSession -> None, the oldest first; each leaves by itself: breaks the cycle
    cdef dict sessions
    cdef bint draining
    # callable() or None: it drains, and the last connection has ended. Called from the loop.
    cdef public object on_empty
    cdef int admit(self, Transport transport, bytes identity) except -1
    cdef Py_ssize_t count(self) except -1
    cdef bint make_room(self) except -1
    cdef int forget(self, CallSession session) except -1

cdef class CallDoor(Entry):
    cdef CallServer server                # owned

cdef class CallSession(Http2Server):
    cdef CallServer server                # owned
    cdef Address peer                     # of the client
    cdef str identity                     # what it has proven to be; None: nobody
    cdef Timer idle                       # armed while it has no calls
    cdef int rest(self) except -1
