"""A server whose requests Python answers, over HTTP/1 and HTTP/2, with TLS and without: the proxy's admin
server."""

from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.passage cimport Passage
from linkerd2_py._ext.exchange.stream cimport Dispatch, Peer, Stream
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.route.client cimport Client
from linkerd2_py._ext.route.entry cimport Entry

cdef class LocalServer(Entry):
    cdef Limits limits
    cdef object on_request
    cdef tuple no_tls                 # labels of who comes without TLS
    # callable(Client, peer: Address or None) -> Permission for each request, or None: all are answered
    cdef public object authorize
    cdef list listeners
    # At once; one that comes beyond ends the oldest that has said nothing yet, else the oldest idle one, else
    # the oldest
    cdef Py_ssize_t connections_max
    # Owned: the connections that came in, oldest first; those that are over go when the next one comes
    cdef list transports

cdef class LocalDispatch(Dispatch):
    cdef LocalServer server
    cdef Client client
    cdef Address peer             # of the client

cdef class Request(Peer):
    """A whole request for Python, and the way to answer it."""
    cdef LocalServer server
    cdef Stream half              # owned until answered or reset
    cdef Client client
    cdef readonly bytes method, path, authority
    cdef readonly list headers    # [(lower-case name, value)]
    cdef readonly Address peer
    cdef list chunks
    cdef size_t size
    cdef object slices            # iterator of a response being sent, or None
    cdef bint waiting_for_room
    cdef int append(self, const char* p, size_t n) except -1
    cdef int ask(self) except -1
    # Why it is not for this client, or None.
    cdef Passage refusal_of(self, Head head)
    cdef int refuse(self, Passage passage) except -1
    cdef int fill(self, Head head, int status, object headers, object body) except -1
    cdef int send_whole(self, bytes body) except -1
