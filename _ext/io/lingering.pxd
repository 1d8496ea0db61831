"""What becomes of a transport whose exchanges have ended: it sends the rest, throws away what still comes,
and ends by itself."""

from linkerd2_py._ext.io.transport cimport Transport

# Gives a transport that was closed to a session of its own (owned by it), which ends it. `awaits_fin`: the
# peer may still be sending. close(2) with unread bytes in the kernel sends a RST, which may overtake our last
# bytes; so its bytes are read and thrown away until its FIN.
cdef int linger(Transport transport, bint awaits_fin) except -1
