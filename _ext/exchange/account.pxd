"""What others learn of an exchange: who looks on, the series in which it is counted, its endpoint's balancer
and breaker."""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.exchange.backend cimport Backend, Logical, Router, Waiter
from linkerd2_py._ext.exchange.course cimport Course, Expiry
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.observe cimport End
from linkerd2_py._ext.exchange.plan cimport Plan
from linkerd2_py._ext.exchange.translation cimport Translation
from linkerd2_py._ext.exchange.ways cimport Way
from linkerd2_py._ext.metrics.http cimport Classification, HttpMetrics, ResponseError
from linkerd2_py._ext.metrics.routes cimport RouteMetrics

cdef class Account(Waiter):
    """The part of an exchange that knows what becomes of it; the exchange itself says when. Times are loop
    ns."""
    cdef Router router                # owned; None when over
    cdef Logical logical              # owned while it may still choose
    cdef Way way                      # owned: of those of its plan, or None
    # Owned: where its plan, or itself, says how long it may take, or when it is sent again; else None.
    cdef Course course
    cdef Backend backend              # owned from on_backend
    cdef HttpMetrics metrics          # owned; None until dispatched
    # Owned; None where nothing was decided and nobody looks on, before that is asked, and when over.
    cdef Plan plan
    # Owned; who looks on beside the observers of the plan; None: nobody, as where there is no plan
    cdef tuple onlookers
    # Borrowed from the server half until release_request; while it is here, `kept` holds the whole body so
    # far.
    cdef Head request
    cdef Translation translation      # of this request and its response
    cdef bint request_done
    cdef bint over
    cdef bint pending                 # backend.begin() was called and not yet completed
    cdef bint sought                  # the router's seeker was asked, or nobody looked for anything
    cdef bint unjudged                # `backend` was given this exchange and has not heard what became of it
    cdef double blame                 # how much of a failure its answer is: 0 to 1
    cdef int64_t hold_ns              # how long it asked to be left alone
    cdef int status, grpc_status
    cdef ResponseError error          # why the proxy made the response itself, or why it broke
    cdef Expiry expiry                # of ERROR_TIMEOUT: what was over
    cdef uint32_t reset_code          # of END_BROKEN and END_CANCELLED: HTTP/2's, also where none was sent
    cdef int64_t started, dispatched
    cdef int64_t flushed              # its body came to its end; 0: it had none, or not yet
    cdef int64_t latency              # ns; -1 until the first response body frame

    # ---- who looks on
    cdef int show(self) except -1
    cdef int show_response(self, Head head) except -1
    cdef int show_trailers(self, Head trailers) except -1
    cdef int show_end(self, End why) except -1
    # ---- what is counted
    cdef int count_request(self) except -1
    cdef int record(self) except -1
    cdef int record_try(self, bint ours, bint is_last) except -1
    cdef int tell(self, RouteMetrics metrics, bint ours, int64_t took_ns) except -1
    cdef int64_t try_began(self) noexcept
    cdef uint32_t code_of_error(self) noexcept
    cdef Classification class_in_route(self, int* grpc_status) noexcept
    cdef Classification class_of_error(self) noexcept
    cdef int note_grpc_status(self, Head head) except -1
    cdef int code_of_answer(self, bint ours) noexcept
    # ---- what the balancer learns
    cdef int first_byte(self) except -1
    cdef int unpend(self) except -1
    cdef int note_failure(self, Head head) except -1
    cdef int accuse(self, double weight) except -1
    cdef int judge(self) except -1
    cdef int inform(self, double weight, bint is_end) except -1
