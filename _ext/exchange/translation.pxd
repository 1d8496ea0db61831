"""What is done between the protocol of a client and that of an endpoint: heads, resets and ends keep their
meaning.

An exchange knows no HTTP version: whatever depends on one is asked here. Connection fields, TE and framing
are each codec's own and never reach an exchange; `orig_proto` reads and writes the header by which HTTP/1
travels over HTTP/2. """

from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.exchange.backend cimport Backend, Wants
from linkerd2_py._ext.exchange.head cimport Head, Version
from linkerd2_py._ext.exchange.stream cimport Stream

# Why a message is broken off, as RFC 9113 section 7 numbers it: the codes of `reset` and `on_*_reset`.
cdef enum ResetCode:
    RESET_NO_ERROR = 0
    RESET_INTERNAL_ERROR = 2
    RESET_REFUSED_STREAM = 7
    RESET_CANCEL = 8
    RESET_HTTP_1_1_REQUIRED = 13

cdef struct Translation:
    Version spoken         # by the client's application, whatever a peer proxy carries it in
    bint is_grpc, is_connect, is_upgrade
    bint carried_in        # the client is a peer proxy that carries HTTP/1 over HTTP/2
    bint carried_out       # we carry HTTP/1 over HTTP/2 to the endpoint
    int mark               # index of the l5d-orig-proto that we added to the request; -1: none

# ---- the request

# Notes what came, and gives back to a request that a peer proxy carried the form that it had. `from_peer`:
# l5d-orig-proto of this connection is believed.
cdef int note_request(Translation* translation, Stream server, Head request, bint from_peer) except -1
# A forward proxy sends origin-form, and a Host equal to the target's authority (RFC 9112 section 3.2.2).
cdef int to_origin_form(Head request) except -1
# What the request needs of a backend. `by_connect`: CONNECT is addressed to us.
cdef Wants wants_of(const Translation* translation, Head request, Backend backend, bint by_connect) noexcept
# Makes the request fit for `client`; may be called again for another half, of whatever version.
cdef int fit_request(Translation* translation, Head request, Stream client) except -1
# Whether a request that was sent there may turn out not to have been processed.
cdef bint may_come_back(Stream client) noexcept

# ---- the response

# Makes the endpoint's response fit for the client. `outbound`: what proxies tell each other goes no further.
cdef int fit_response(const Translation* translation, Head response, Backend backend, bint outbound) except -1
cdef int fit_interim(Head response, bint outbound) noexcept
# After such a response the connection is the application's: 101, or a 2xx to CONNECT.
cdef bint opens_tunnel(const Translation* translation, int status) noexcept
# Answers CONNECT in our own name.
cdef int send_connected(Stream server) except -1

# ---- ends

# A reset by which the endpoint shows that HTTP/1 is what it speaks.
cdef inline bint shows_http1(uint32_t code) noexcept:
    return code == RESET_HTTP_1_1_REQUIRED

# Between two HTTP/2 peers a reset stays a reset; all others learn of it in another way.
cdef bint stays_reset(const Translation* translation, Stream server, FaultKind kind, uint32_t code) noexcept
# The same for a stream that the endpoint refused: only a client without gRPC can be told so.
cdef bint may_tell_refusal(const Translation* translation, Stream server) noexcept
# Whether a response that broke can end in trailers that say why.
cdef bint can_explain(const Translation* translation, Stream server, FaultKind kind) noexcept
