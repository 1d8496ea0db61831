"""The two halves of an exchange, as codecs implement them.

`Stream` is one request/response pair inside a codec. A *server half* faces the client (HTTP/1 or HTTP/2
server codec, or a Python caller); a *client half* faces the endpoint (HTTP/1 or HTTP/2 client codec, or a
Python responder). `Exchange` sits between and is the only thing that knows both.

Rules
- Commands never call back into the exchange. `send_*` answers SEND_FULL; faults found while sending are
  reported from a deferred call.
- After `on_*_reset` / after both directions ended, the codec drops its reference to the exchange and the
  exchange drops the half; `reset()` on a finished half is a no-op.
- The memory behind `p` in body calls is borrowed for the duration of the call only.
"""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.exchange.head cimport Head, Version
from linkerd2_py._ext.io.actor cimport Actor
from linkerd2_py._ext.io.transport cimport Transport

cdef class Peer(Actor):
    """What a half reports to: the exchange. A `code` is an HTTP/2 error code, 0 where there is none."""
    # ---- from the server half
    # The head stays valid until the exchange calls half.release_head(), or the half is finished. `head.end`
    # says that no body follows.
    cdef int on_request_head(self, Stream half, Head head) except -1
    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1
    # Ends the request; the head is borrowed for the call.
    cdef int on_request_trailers(self, Head trailers) except -1
    # The client cancelled, went away, or sent a malformed body.
    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1
    # The server half can take response body again.
    cdef int on_response_room(self) except -1
    # ---- from the client half
    # 1xx other than 101; borrowed for the call.
    cdef int on_interim_head(self, Head head) except -1
    # Borrowed for the call; `head.end` as above.
    cdef int on_response_head(self, Head head) except -1
    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1
    cdef int on_response_trailers(self, Head trailers) except -1
    # `refused`: provably not processed by the endpoint (nothing written, REFUSED_STREAM, above the last id
    # of a GOAWAY), so it is safe to send elsewhere.
    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1
    # The client half can take request body again.
    cdef int on_request_room(self) except -1

cdef class Stream(Actor):
    cdef Peer peer                       # owned while the half is live; None after finish: breaks the cycle
    cdef Version version                 # HTTP version of this half's codec
    # Client half, set by the pool: its connection was kept from earlier exchanges, so it may have ended
    # unseen.
    cdef bint pooled
    # Client half, set by the exchange: on_request_room is to be told when `is_proven` becomes true.
    cdef bint awaits_proof
    # ---- either half: what is sent answers a SendOutcome
    # The request (client half) or the final response (server half); `head.end`: nothing follows.
    cdef int send_head(self, Head head) except -1
    # n may be 0 with `end`.
    cdef int send_body(self, const char* p, size_t n, bint end) except -1
    # Ends the message. HTTP/1 that is not chunked drops the trailers, and the message still ends properly.
    cdef int send_trailers(self, Head trailers) except -1
    # Aborts what is not finished. HTTP/2: RST_STREAM(code). HTTP/1: never a clean end, but a reset, or a
    # close without the final chunk.
    cdef int reset(self, FaultKind kind, uint32_t code) except -1
    # Stops to deliver body; idempotent. HTTP/1 pauses the transport (PAUSE_PEER_FULL), HTTP/2 withholds
    # window updates.
    cdef int hold(self) except -1
    cdef int unhold(self) except -1
    # The exchange no longer needs the request head's memory.
    cdef int release_head(self) except -1
    # ---- client half
    # The endpoint has shown that it speaks this protocol.
    cdef bint is_proven(self) noexcept
    # ---- server half
    cdef int send_interim(self, Head head) except -1
    # HTTP/1 only, after a 101 or a 2xx to CONNECT was sent: gives up the transport (with its unread inbox)
    # for a pump. Raises for HTTP/2.
    cdef Transport into_tunnel(self)

cdef class Dispatch(Actor):
    """Where a server codec gets the peer for each new request: the route layer."""
    cdef Peer new_exchange(self, Stream half)     # never None

cdef class ConnectionOwner(Actor):
    """Who owns client connections: the pool. Called by client codecs; never from inside open_stream."""
    # HTTP/1: idle and reusable; HTTP/2: a stream has ended / SETTINGS received.
    cdef int on_connection_room(self, object connection) except -1
    # Takes no new streams (GOAWAY, connection: close) but live ones go on.
    cdef int on_connection_retired(self, object connection) except -1
    # Gone; all its streams were reset before.
    cdef int on_connection_closed(self, object connection, FaultKind kind, int code) except -1
