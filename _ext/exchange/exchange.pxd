"""One request with its response, between a server half and a client half. The only thing that knows both.

A request is open until `request_done`; a response has not begun (NONE), its head was sent to the client
(HEAD), or it has ended (DONE). `over` is final: later events are swallowed, because a codec may still be
draining a message whose exchange has already been answered.

What depends on the protocols of the two sides is asked of `translation`, what the proxy says in its own
name of `error_response`, what an end says about the endpoint of `verdict`.
"""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.backend cimport Backend, Logical, Router, Waiter
from linkerd2_py._ext.exchange.error_response cimport ErrorResponse
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.exchange.translation cimport Translation
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.metrics.http cimport HttpMetrics, ResponseError

cdef enum ResponseState:
    RESPONSE_NONE, RESPONSE_HEAD, RESPONSE_DONE

@final
cdef class Exchange(Waiter):
    cdef Router router                # owned; None when over
    cdef Stream server                # owned; None when over
    cdef Stream client                # owned once dispatched; None before and when over
    cdef Logical logical              # owned while it may still choose
    cdef Backend backend              # owned from on_backend
    cdef HttpMetrics metrics          # owned; None until dispatched
    # Borrowed from the server half until release_request; while it is here, `backlog` holds the whole body
    # so far.
    cdef Head request
    # Owned; body that came before there was a client half, or that may have to be sent again. Made when
    # needed, kept while recycled.
    cdef ByteQueue backlog
    cdef size_t kept                  # bytes in it that were sent: this exchange's share of what all may keep
    cdef Head early_trailers          # owned copy of trailers that came before there was a client half
    # The backlog holds the whole rest of the request's body, which may be nothing.
    cdef bint backlog_end
    cdef Translation translation      # of this request and its response
    cdef bint request_done
    cdef bint idempotent
    cdef bint repeated                # sent again after a pooled connection ended under it
    cdef ResponseState response
    cdef bint over
    cdef bint counted                 # admitted by the router, which is to hear of the end
    cdef bint pending                 # backend.begin() was called and not yet completed
    cdef bint unjudged                # `backend` was given this exchange and has not heard what became of it
    cdef double blame                 # how much of a failure its answer is: 0 to 1
    cdef int64_t hold_ns              # how long it asked to be left alone
    cdef bint server_held, client_held
    cdef bint is_demanding            # the application says who must answer
    cdef Span required                # whom: l5d-require-id, borrowed from the request
    cdef int attempts, status, grpc_status
    cdef ResponseError error          # why the proxy made the response itself, or why it broke
    cdef int64_t started, dispatched  # loop ns
    cdef int64_t latency              # ns; -1 until the first response body frame

    cdef int begin(self, Router router) except -1
    # ---- the request
    cdef int route(self, Head head) except -1
    cdef int take_requirement(self, Head head) except -1
    # ---- its body, kept
    cdef int keep_body(self, const char* p, size_t n, bint end) except -1
    cdef int keep_sent(self, const char* p, size_t n, bint end) except -1
    cdef bint may_keep(self, size_t n) noexcept
    cdef size_t backlog_size(self) noexcept
    cdef bint has_much(self) noexcept
    cdef int stop_keeping(self) except -1
    cdef int keep_trailers(self, Head trailers) except -1
    cdef bint has_kept(self) noexcept
    cdef int send_kept(self) except -1
    cdef int send_backlog(self) except -1
    cdef int drop_kept(self) except -1
    # ---- dispatch
    cdef int accept_connect(self, Transport server_side) except -1
    cdef int send_again(self, bint fresh) except -1
    cdef bint may_repeat(self, FaultKind kind, uint32_t code) noexcept
    # ---- the response
    cdef int open_tunnel(self, Head head) except -1
    cdef int response_ended(self) except -1
    cdef int first_byte(self) except -1
    cdef int note_grpc_status(self, Head head) except -1
    # ---- ends
    cdef int break_off(self, FaultKind kind, uint32_t code) except -1
    cdef int fail_unanswered(self, FaultKind kind, uint32_t code) except -1
    cdef int fail(self, ErrorResponse answer) except -1
    cdef int finish(self) except -1
    cdef int count_request(self) except -1
    cdef int record(self) except -1
    cdef int release_request(self) except -1
    cdef int hold_server(self) except -1
    cdef int hold_client(self) except -1
    # ---- what the balancer learns
    cdef int unpend(self) except -1
    cdef int note_failure(self, Head head) except -1
    cdef int accuse(self, double weight) except -1
    cdef int judge(self) except -1
    cdef double weight_of_reset(self, FaultKind kind, uint32_t code, bint repeatable) noexcept

cdef Exchange take_exchange(Router router)
