"""One request with its response, between a server half and a client half. The only thing that knows both.

What depends on the protocols of the two sides is asked of `translation`, what the proxy says in its own
name of `error_response`, what an end says about the endpoint of `verdict`.

The state of an exchange is three answers. Is the request open, or done? Has the response not begun (none),
was its head sent to the client (head), or is it done? And is there no client half (none), is one waited for
(waiting: for a profile, a backend, a connection, a stream, or a turn to be sent again), or is it there
(half)? Five pairs of the last two are legal, with either answer to the first:

    response  client half  state      what goes on
    none      none         FINDING    a head has come, and its target is being found
    none      waiting      WAITING    the target and its backends are asked; what comes of the body is kept
    none      half         ASKING     the request goes out, or its answer is awaited
    head      half         ANSWERING  the response passes, and what is left of the request
    done      none         OVER       final: what comes late is swallowed, for a codec may still drain a
                                      message whose exchange was answered

So no response passes without a half that it comes from, and nobody works for one that is done. What may be
heard in which state stands below, as data. A debug build looks at both tables whenever something is heard,
and ends the process where they are not kept. Only within a call may an exchange be between two states.
"""

from cython cimport final
from libc.stdint cimport uint32_t, uint64_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.account cimport Account
from linkerd2_py._ext.exchange.backend cimport Logical, Router
from linkerd2_py._ext.exchange.course cimport Expiry
from linkerd2_py._ext.exchange.error_response cimport ErrorResponse
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.kept cimport Kept
from linkerd2_py._ext.exchange.observe cimport End
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.exchange.ways cimport Way
from linkerd2_py._ext.io.transport cimport Transport

cdef enum ResponseState:
    RESPONSE_NONE, RESPONSE_HEAD, RESPONSE_DONE

cdef enum State:
    ILLEGAL = 0            # every pair that is not in the table
    FINDING = 1
    WAITING = 2
    ASKING = 4
    ANSWERING = 8
    OVER = 16

# What may be heard when. A reset and `on_broken` may come at any time, even amid a change of state: they are
# what follows when something of ours has raised.
cdef enum:
    HEARS_REQUEST_HEAD = FINDING
    # Body and trailers, while the request is open.
    HEARS_REQUEST_REST = WAITING | ASKING | ANSWERING | OVER
    HEARS_UNAVAILABLE = FINDING | WAITING | OVER
    # A profile, a backend or its failure, a stream, a transport.
    HEARS_DISPATCH = WAITING | OVER
    # The final one, and interim ones before it.
    HEARS_RESPONSE_HEAD = ASKING | OVER
    # Body and trailers.
    HEARS_RESPONSE_REST = ANSWERING | OVER
    # On either side.
    HEARS_ROOM = FINDING | WAITING | ASKING | ANSWERING | OVER

@final
cdef class Exchange(Account):
    cdef Stream server                # owned; None when over
    cdef Stream client                # owned once dispatched; None before and when over
    # Owned while it takes a way: the target that it was admitted to; None: `logical` is that one.
    cdef Logical home
    # Owned; None until something has to be kept; it is recycled with this.
    cdef Kept kept
    cdef bint idempotent
    cdef bint repeated                # sent again after a pooled connection ended under it
    cdef ResponseState response
    cdef bint counted                 # admitted by the router, which is to hear of the end
    cdef bint server_held, client_held
    cdef bint is_demanding            # the application says who must answer
    cdef Span required                # whom: l5d-require-id, borrowed from the request
    cdef int attempts
    cdef uint64_t response_bytes      # of the endpoint's body

    cdef int begin(self, Router router) except -1
    cdef State state(self) noexcept                               # looked at by debug builds alone
    # ---- the request
    cdef int route(self, Head head) except -1
    cdef int proceed(self, Head head) except -1
    cdef int follow(self, Head head) except -1
    cdef int begin_plan(self, Head head) except -1
    cdef int steer(self) except -1
    cdef int set_out(self) except -1
    cdef int edit_for(self, Way way) except -1
    cdef int take_way(self) except -1
    cdef int leave_way(self) except -1
    cdef int take_requirement(self, Head head) except -1
    # ---- its body, kept
    cdef int keep_body(self, const char* p, size_t n, bint end) except -1
    cdef int keep_sent(self, const char* p, size_t n, bint end) except -1
    cdef Kept keeper(self)
    cdef size_t kept_size(self) noexcept
    cdef bint may_keep(self, size_t n) noexcept
    cdef bint has_much(self) noexcept
    cdef int stop_keeping(self) except -1
    cdef int send_kept(self) except -1
    # ---- dispatch
    cdef int accept_connect(self, Transport server_side) except -1
    cdef int send_again(self, bint fresh) except -1
    cdef bint may_repeat(self, FaultKind kind, uint32_t code) noexcept
    # ---- times, and other tries
    cdef int note_flushed(self) except -1
    cdef int watch_time(self) except -1
    cdef int time_out(self, Expiry expiry) except -1
    cdef int drop_client(self) except -1
    cdef bint is_repeatable(self) noexcept
    cdef bint is_put_off(self, Head head) except -1
    cdef bint awaits_trailers(self, Head head) noexcept
    cdef int settle(self) except -1
    cdef bint may_try_again(self) except -1
    cdef bint leads_somewhere(self) noexcept
    cdef int forget_head(self) except -1
    cdef int try_again(self, bint ours) except -1
    cdef int begin_try(self) except -1
    cdef int let_pass(self) except -1
    # ---- the response
    cdef int pass_response(self, Head head) except -1
    cdef int open_tunnel(self, Head head) except -1
    cdef int response_ended(self) except -1
    # ---- ends
    cdef int break_off(self, FaultKind kind, uint32_t code) except -1
    cdef int fail_unanswered(self, FaultKind kind, uint32_t code) except -1
    cdef int fail(self, ErrorResponse answer) except -1
    cdef bint may_mend(self, const ErrorResponse* answer) except -1
    cdef int finish(self, End why) except -1
    cdef int release_request(self) except -1
    cdef int hold_server(self) except -1
    cdef int hold_client(self) except -1
    cdef double weight_of_reset(self, FaultKind kind, uint32_t code, bint repeatable) noexcept

cdef Exchange take_exchange(Router router)
# The states in which exchanges of this process have heard something, those with a done request shifted by 8;
# 0 in a release build.
cdef int heard_states() noexcept
