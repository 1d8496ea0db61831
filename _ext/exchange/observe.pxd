"""Who looks on at exchanges: tap, access log, spans. A plan names its observers, and a router knows who seeks
exchanges whatever their plans are; where there is neither, nobody is asked."""

from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.io.actor cimport Actor
from linkerd2_py._ext.io.loop cimport Loop

# How an exchange ended. What the client was told stands in `status`, `grpc_status` and `error` of the
# exchange.
cdef enum End:
    END_ANSWERED           # the endpoint's response has gone out whole
    END_TUNNELLED          # the connection became the application's: CONNECT, Upgrade
    END_FAILED             # the proxy answered in its own name
    END_BROKEN             # cut short by the endpoint, on the way to it, or by a fault of ours
    END_CANCELLED          # by the client, which reset it or is gone

cdef class Observer(Actor):
    """Overrides what it wants to see. `exchange` is an Exchange, to be read and never to be commanded;
    heads are borrowed for the call. An observer that raises is reported like any actor, and the exchange
    goes on.

    One exchange is told of in this order: on_request, on_response or not, on_trailers or not, on_end; each
    once, however many endpoints are tried meanwhile.
    """
    # The route is known. A plan's observers are told before there is a backend, those that a seeker gave when
    # there is one, or when there will be none. The head is the client's, without what proxies tell each
    # other.
    cdef int on_request(self, Peer exchange, Head head) except -1
    # The endpoint's final head, as the client gets it. Not for an answer of the proxy's own.
    cdef int on_response(self, Peer exchange, Head head) except -1
    # What follows the endpoint's body, where something does.
    cdef int on_trailers(self, Peer exchange, Head trailers) except -1
    # Once, however it ends. The heads may be gone; what else the exchange knows is still there.
    cdef int on_end(self, Peer exchange, End why) except -1

cdef class Seeker(Actor):
    """Who looks for exchanges to see among all of a router's, whatever their plans are."""
    # How many look for something now; nobody is asked while it is 0.
    cdef int wanting
    # The observers of this one exchange; None: nobody wants to see it. Asked once, when it is known who is to
    # serve it or that nobody will; `head` is what on_request is told next.
    cdef tuple seek(self, Peer exchange, Head head)

# What a router has that nobody looks at.
cdef Seeker NOBODY

cdef int tell_request(tuple observers, Loop loop, Peer exchange, Head head) except -1
cdef int tell_response(tuple observers, Loop loop, Peer exchange, Head head) except -1
cdef int tell_trailers(tuple observers, Loop loop, Peer exchange, Head trailers) except -1
cdef int tell_end(tuple observers, Loop loop, Peer exchange, End why) except -1
