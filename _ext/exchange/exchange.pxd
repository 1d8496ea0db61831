"""One request with its response, between a server half and a client half. The only thing that knows both.

A request is open until `request_done`; a response has not begun (NONE), its head was sent to the client (HEAD), or it has ended (DONE). `over` is final: later events are swallowed,
because a codec may still be draining a message whose exchange has already been answered.
"""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.backend cimport Backend, Logical, Router, Waiter, Wants
from linkerd2_py._ext.exchange.head cimport Field, Head, Version
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.metrics.http cimport HttpMetrics, ResponseError

cdef enum ResponseState:
    RESPONSE_NONE, RESPONSE_HEAD, RESPONSE_DONE

cdef class Exchange(Waiter):
    cdef Router router                # owned; None when over
    cdef Stream server                # owned; None when over
    cdef Stream client                # owned once dispatched; None before and when over
    cdef Logical logical              # owned while it may still choose
    cdef Backend backend              # owned from on_backend
    cdef HttpMetrics metrics          # owned; None until dispatched
    cdef Head request                 # borrowed from the server half until release_request; while it is here, `backlog` holds the whole body so far
    cdef ByteQueue backlog            # owned; body that came before there was a client half, or that may have to be sent again. Made when needed, kept while recycled
    cdef size_t kept                  # bytes in it that were sent: this exchange's share of what all may keep
    cdef Head early_trailers          # owned copy of trailers that came before there was a client half
    cdef bint backlog_end             # the backlog holds the whole rest of the request's body, which may be nothing
    cdef bint request_done
    cdef bint idempotent
    cdef bint repeated                # sent again after a pooled connection ended under it
    cdef ResponseState response
    cdef bint over, counted, pending  # admitted by the router; backend.begin() was called and not yet completed
    cdef bint unjudged                # `backend` was given this exchange and has not heard what became of it
    cdef double blame                 # how much of a failure its answer is: 0 to 1
    cdef int64_t hold_ns              # how long it asked to be left alone
    cdef bint server_held, client_held
    cdef bint is_grpc, is_connect, is_upgrade
    cdef bint orig_proto_in           # the client is a peer proxy carrying HTTP/1 over HTTP/2
    cdef bint orig_proto_out          # we carry HTTP/1 over HTTP/2 to the backend
    cdef Version client_version       # what the client's application speaks
    cdef bint is_demanding            # the application says who must answer
    cdef Span required                # whom: l5d-require-id, borrowed from the request
    cdef int orig_proto_field         # index of the field we added to the request, -1
    cdef int attempts, status, grpc_status
    cdef ResponseError error          # why the proxy made the response itself, or why it broke
    cdef int64_t started, dispatched, latency   # loop ns; latency -1 until the first response body frame

    cdef int fail(self, int status, const char* text, size_t text_len, bint close, ResponseError error) except -1
    cdef int finish(self) except -1
    cdef int begin(self, Router router) except -1
    cdef int route(self, Head head) except -1
    cdef int take_requirement(self, Head head) except -1
    cdef int to_origin_form(self, Head head) except -1
    cdef int keep_body(self, const char* p, size_t n, bint end) except -1
    cdef int keep_sent(self, const char* p, size_t n, bint end) except -1
    cdef bint may_keep(self, size_t n) noexcept
    cdef bint has_much(self) noexcept
    cdef int stop_keeping(self) except -1
    cdef int keep_trailers(self, Head trailers) except -1
    cdef bint has_kept(self) noexcept
    cdef int send_kept(self) except -1
    cdef int send_backlog(self) except -1
    cdef int drop_kept(self) except -1
    cdef Wants wants(self, Backend backend)
    cdef int mark_orig_proto(self, Head head, Stream half) except -1
    cdef int accept_connect(self, Transport server_side) except -1
    cdef int edit_response(self, Head head) except -1
    cdef int strip_ours(self, Head head) except -1
    cdef int open_tunnel(self, Head head) except -1
    cdef int response_ended(self) except -1
    cdef int fail_unanswered(self, FaultKind kind, uint32_t code) except -1
    cdef int first_byte(self) except -1
    cdef int unpend(self) except -1
    cdef int note_failure(self, Head head) except -1
    cdef int accuse(self, double weight) except -1
    cdef int judge(self) except -1
    cdef int release_request(self) except -1
    cdef int hold_server(self) except -1
    cdef int hold_client(self) except -1
    cdef int note_grpc_status(self, Head head) except -1
    cdef int record(self) except -1
    cdef bint may_choose_again(self, FaultKind kind, int code) noexcept
    cdef int send_again(self, bint fresh) except -1
    cdef bint may_repeat(self, FaultKind kind, uint32_t code) noexcept
    cdef double weight_of_reset(self, FaultKind kind, uint32_t code, bint repeatable) noexcept

cdef Exchange take_exchange(Router router)
