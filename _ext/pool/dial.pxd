"""How connections to one endpoint are made: in plain text or over TLS, at one of two addresses, announced to
a peer proxy.

What becomes of a connection, and who waits for one, is the endpoint's affair.
"""

from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.backend cimport Backend, Waiter, Wants
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Connecting, Transport
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics
from linkerd2_py._ext.pool.settings cimport PoolSettings
from linkerd2_py._ext.tls.identity cimport LocalIdentity, ServerIdentity

cdef class Dialer(Backend):
    """The part of an endpoint that dials."""
    # Where connects begin: `address`, which is what it is called by wherever it is told of, or where the same
    # program was found instead.
    cdef Address at
    # Where the same program may listen instead, or None. A refused connect exchanges it for `at`: later ones
    # begin with what is left.
    cdef Address other
    cdef Loop loop
    cdef PoolSettings settings
    cdef TcpMetrics tcp               # owned; the peer="dst" side
    # Both or none. With them every connection is TLS: there is no way from a failed handshake to a plain one.
    cdef LocalIdentity local
    cdef ServerIdentity peer
    cdef bint opaque                  # nobody there, nor the peer proxy in front, is to look at bytes
    cdef bint removed                 # nothing new begins: who dials no more has no other way either
    cdef int dialing_http1            # connects under way for waiters; at most settings.max_dials
    # The same for HTTP/2, where one serves many waiters; with those that are made at most
    # settings.http2_max_connections.
    cdef int dialing_http2
    # Starts one connect; its end comes from the loop, never from inside this call. What raises is no connect
    # under way.
    cdef int dial(self, Wants wants, Waiter waiter, bint probe) except -1
    cdef bint was_told(self, Transport transport)    # a transport header is what the peer reads first

    # -- private
    cdef int dial_plain(self, Dial dial) except -1
    cdef int dial_secured(self, Dial dial) except -1
    cdef int note_dial(self, Wants wants, int change) except -1
    # True once a dial, which goes on at `at`
    cdef bint has_another_way(self, Dial dial, FaultKind kind)
    cdef int announce(self, Dial dial, Transport transport) except -1
    cdef int connected(self, Dial dial, Transport transport) except -1
    cdef int connect_failed(self, Dial dial, FaultKind kind, int code) except -1
    # -- filled in by the endpoint: exactly one of the two for each dial
    cdef int on_dialed(self, Dial dial, Transport transport) except -1
    cdef int on_dial_failed(self, Dial dial, FaultKind kind, int code) except -1

cdef class Dial(Connecting):
    """One connect under way, for one waiter or for the pool."""
    cdef Dialer dialer                # owned until it ends
    cdef Waiter waiter                # opaque, or one that wants a fresh connection; else None
    cdef Wants wants
    cdef bint probe                   # nobody waits: it is to show whether the endpoint can be reached
    cdef Address where                # what is dialled now
    cdef bint again                   # for the second time, at the other address
