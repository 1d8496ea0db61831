"""How clients come in to a server whose requests Python answers: over TLS that asks for its name, or in plain
text, where that is taken."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.detect.detect cimport Protocol
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.listener cimport Accepting
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.tls.identity cimport LocalIdentity
from linkerd2_py._ext.tls.transport cimport Securing

cdef class Entry(Accepting):
    """Takes connections and finds out who comes and what is spoken; `admit` gets those that may come in."""
    cdef readonly Loop loop
    cdef LocalIdentity identity       # TLS for its name is ended here; None: there is none
    cdef bint takes_plain             # what comes without TLS may come in
    cdef bint only_http2              # nothing else is spoken here: the codec judges the first bytes
    cdef int64_t patience_ns          # to say something, and again for a handshake
    # Entering -> None, the oldest first; each leaves by itself: breaks the cycle
    cdef dict entering
    cdef int drop_entering(self) except -1                 # all of them: nobody comes in any more
    cdef bint drop_oldest(self) except -1                  # whether there was one
    # -- filled in above
    # False: no room for one more.
    cdef bint make_room(self) except -1
    # Takes ownership. `protocol` is PROTO_HTTP1 or PROTO_HTTP2; `peer`: who has proven to come, None: nobody.
    cdef int admit(self, Transport transport, Protocol protocol, bint secured, bytes peer) except -1

cdef class Entering(Securing):
    """A connection until it is admitted, or refused by a reset."""
    cdef Entry entry                  # owned
    cdef Timer timeout                # armed while something is waited for, but for the handshake
    cdef bint handshaking, secured
    cdef int look(self) except -1
    cdef int look_for_name(self) except -1
    cdef int secure(self) except -1
    cdef int come_in(self, Protocol protocol) except -1
    cdef int refuse(self) except -1
    cdef int leave(self) except -1                         # idempotent
