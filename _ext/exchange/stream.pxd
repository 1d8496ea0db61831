"""The two halves of an exchange, as codecs implement them.

`Stream` is one request/response pair inside a codec. A *server half* faces the client (HTTP/1 or HTTP/2 server codec, or a Python caller); a *client half*
faces the endpoint (HTTP/1 or HTTP/2 client codec, or a Python responder). `Exchange` sits between and is the only thing that knows both.

Rules
- Commands never call back into the exchange. `send_*` answers SEND_FULL; faults found while sending are reported from a deferred call.
- After `on_*_reset` / after both directions ended, the codec drops its reference to the exchange and the exchange drops the half; `reset()` on a finished half is a no-op.
- The memory behind `p` in body calls is borrowed for the duration of the call only.
"""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.exchange.head cimport Head, Version
from linkerd2_py._ext.io.actor cimport Actor
from linkerd2_py._ext.io.transport cimport Transport

cdef class Peer(Actor):
    """What a half reports to: the exchange."""
    # From the server half. The head stays valid until the exchange calls half.release_head(), or the half is finished.
    cdef int on_request_head(self, Stream half, Head head) except -1      # head.end says whether a body follows
    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1
    cdef int on_request_trailers(self, Head trailers) except -1           # ends the request; head borrowed for the call
    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1   # client cancelled / went away / malformed body; code = HTTP/2 error code
    cdef int on_response_room(self) except -1                             # server half can take response body again
    # From the client half.
    cdef int on_interim_head(self, Head head) except -1                   # 1xx other than 101; borrowed for the call
    cdef int on_response_head(self, Head head) except -1                  # borrowed for the call; head.end as above
    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1
    cdef int on_response_trailers(self, Head trailers) except -1
    # refused = provably not processed by the endpoint (nothing written, REFUSED_STREAM, above GOAWAY last id): safe to send elsewhere
    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1
    cdef int on_request_room(self) except -1                              # client half can take request body again

cdef class Stream(Actor):
    cdef Peer peer                       # owned while the half is live; None after finish: breaks the cycle
    cdef Version version                  # HTTP version of this half's codec
    cdef bint pooled                     # client half: set by the pool when its connection was kept from earlier exchanges: it may have ended unseen
    cdef bint awaits_proof               # client half: on_request_room is to be told when `is_proven` becomes true; set by the exchange
    # ---- either half
    cdef int send_head(self, Head head) except -1          # request (client half) or final response (server half); head.end = nothing follows. SendOutcome
    cdef int send_body(self, const char* p, size_t n, bint end) except -1   # SendOutcome; n may be 0 with end
    cdef int send_trailers(self, Head trailers) except -1  # ends the message. HTTP/1 not chunked: trailers are dropped, message still ends properly
    cdef int reset(self, FaultKind kind, uint32_t code) except -1   # abort what is not finished: HTTP/2 RST_STREAM(code); HTTP/1 never a clean end: RST/close without final chunk
    cdef int hold(self) except -1        # stop delivering body (idempotent): HTTP/1 pauses the transport (PAUSE_PEER_FULL), HTTP/2 withholds window updates
    cdef int unhold(self) except -1
    cdef int release_head(self) except -1    # the exchange no longer needs the request head's memory
    # ---- client half
    cdef bint is_proven(self) noexcept   # the endpoint has shown that it speaks this protocol
    # ---- server half
    cdef int send_interim(self, Head head) except -1
    # HTTP/1 only, after a 101 or a 2xx to CONNECT was sent: gives up the transport (with its unread inbox) for a pump. Raises for HTTP/2.
    cdef Transport into_tunnel(self)

cdef class Dispatch(Actor):
    """Where a server codec gets the peer for each new request: the route layer."""
    cdef Peer new_exchange(self, Stream half)     # never None

cdef class ConnectionOwner(Actor):
    """Who owns client connections: the pool. Called by client codecs; never from inside open_stream."""
    cdef int on_connection_room(self, object connection) except -1    # HTTP/1: idle and reusable; HTTP/2: a stream has ended / SETTINGS received
    cdef int on_connection_retired(self, object connection) except -1 # takes no new streams (GOAWAY, connection: close) but live ones go on
    cdef int on_connection_closed(self, object connection, FaultKind kind, int code) except -1   # gone; all its streams were reset before
