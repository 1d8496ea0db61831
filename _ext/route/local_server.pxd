"""An HTTP/1 server whose requests Python answers: the proxy's admin server."""

from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Dispatch, Peer, Stream
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.listener cimport Accepting
from linkerd2_py._ext.io.loop cimport Loop

cdef class LocalServer(Accepting):
    cdef readonly Loop loop
    cdef Limits limits
    cdef object on_request
    cdef list listeners
    # At once; one that comes beyond ends the oldest idle one, else the oldest
    cdef Py_ssize_t connections_max
    # Owned: Http1Server of each connection, oldest first; those that are over go when the next one comes
    cdef list sessions
    cdef int make_room(self) except -1

cdef class LocalDispatch(Dispatch):
    cdef LocalServer server
    cdef Address peer             # of the client

cdef class Request(Peer):
    """A whole request for Python, and the way to answer it."""
    cdef LocalServer server
    cdef Stream half              # owned until answered or reset
    cdef readonly bytes method, path, authority
    cdef readonly list headers    # [(lower-case name, value)]
    cdef readonly Address peer
    cdef list chunks
    cdef size_t size
    cdef object slices            # iterator of a response being sent, or None
    cdef bint waiting_for_room
    cdef int append(self, const char* p, size_t n) except -1
    cdef int ask(self) except -1
    cdef int fill(self, Head head, int status, object headers, object body) except -1
    cdef int send_whole(self, bytes body) except -1
