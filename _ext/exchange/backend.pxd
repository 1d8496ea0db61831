"""What an exchange asks of the layers above it: who may serve it. The pool and the route layer implement
these; the exchange knows only this page.

Flow: Router.logical_for -> Router.plan_for -> Logical.choose -> Waiter.on_backend -> Backend.serve ->
Waiter.on_stream. Each step may answer at once or later, exactly once, unless the waiter withdraws.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.balance.accrual cimport Breaker, Verdict
from linkerd2_py._ext.balance.p2c cimport Candidate
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.gate cimport Denial, Held
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.observe cimport Seeker
from linkerd2_py._ext.exchange.passage cimport Examiner, Passage
from linkerd2_py._ext.exchange.plan cimport Plan, Refusal
from linkerd2_py._ext.exchange.seats cimport Seating
from linkerd2_py._ext.exchange.stream cimport Dispatch, Peer, Stream
from linkerd2_py._ext.io.actor cimport Actor
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.metrics.http cimport HttpMetrics, ResponseError

# Why a target gives no backend (how it is answered: docs/life-of-a-request.md).
cdef enum Unavailable:
    UNAVAILABLE_FAILFAST       # nothing became ready within the fail-fast period: 504
    UNAVAILABLE_SHED           # gate shut, queue full or too many in flight: 503
    UNAVAILABLE_REJECTED       # the shell rejected the target: its own status and text
    UNAVAILABLE_CLOSED         # the target went away while waiting: 503
    UNAVAILABLE_LOOP           # the target is this proxy: 502 outbound, 403 inbound
    UNAVAILABLE_DENIED         # inbound policy does not let the request in: its own status and text
    UNAVAILABLE_MISTRUSTED     # the same, for what the request shows: 401 or 403
    UNAVAILABLE_FULL           # as many as may be are in flight at the port: its own status and text

cdef class WaiterQueue

cdef class Waiter(Peer):
    """An exchange, or an opaque connection, that waits for a backend. It waits for one thing at a time."""
    cdef WaiterQueue queue                                      # where it stands; None outside
    cdef Waiter before, behind                                  # owned links of that queue; None outside
    # Loop ns: it stands in an endpoint's queue for so long.
    cdef int64_t since
    # Loop ns; 0: any will do. Sent again after a kept connection had ended: only one that was connected
    # since will do.
    cdef int64_t fresh_since
    # Inbound: what policy said when it let the exchange in; None: nobody decided.
    cdef Passage passage
    # Inbound: what it occupies until it is over; None: nobody counts it.
    cdef Seating seats
    # Inbound, owned: it stands at a gate, or has stood there; None: it has not.
    cdef Held held
    cdef int leave(self) except -1                              # the queue it stands in, if any
    # Of those that were let in: it is over, and gives back what it had for that. Idempotent.
    cdef int let_out(self) except -1
    # Whichever backend it is given will hear what became of it there.
    cdef bint may_probe(self) noexcept
    cdef int on_backend(self, Backend backend) except -1
    cdef int on_unavailable(self, Unavailable why, int status, bytes text) except -1
    # A route may answer it in the place of whoever it is for: whether it did.
    cdef bint refused(self, Refusal refusal) except -1
    # The backend could not give a stream or a connection; nothing was written. The waiter decides whether
    # to choose again. FAULT_PROTOCOL with NGHTTP2_HTTP_1_1_REQUIRED: it has just been learned that the
    # backend speaks no HTTP/2 (http1_only).
    cdef int on_backend_failed(self, FaultKind kind, int code) except -1
    cdef int on_profile(self, bint opaque) except -1            # answer to Logical.await_profile
    # It stood in an examiner's queue, and left it: whether it is let in can be asked again.
    cdef int on_examined(self) except -1
    # Answers of the gate where it stood.
    cdef int on_let_in(self) except -1
    cdef int on_denied(self, Denial denial) except -1
    cdef int on_stream(self, Stream half) except -1             # HTTP: send_head now
    # Opaque: connected; the waiter attaches a session.
    cdef int on_transport(self, Transport transport) except -1

cdef class WaiterQueue:
    """Waiters in order of arrival. Each step costs the same however many there are. A waiter stands in at
    most one queue; a debug build checks it."""
    cdef Waiter first, last                                     # owned, and the others through their links
    cdef Py_ssize_t count
    cdef int append(self, Waiter waiter) except -1
    cdef Waiter pop(self)                                       # the first; None when there is none
    cdef int remove(self, Waiter waiter) except -1              # it stands here
    cdef int take_all(self, WaiterQueue other) except -1        # those of the other queue, behind its own

cdef class RequestExaminer(Examiner):
    """Decides about each request by what it shows."""
    # Under which passage it is, which has no examiner; counted there. None: nobody can say yet. It stands in
    # a queue of the examiner's then, and hears `on_examined` once it has left that.
    cdef Passage examine(self, Waiter exchange, Head head)

cdef enum Wants:
    WANTS_HTTP1, WANTS_HTTP2, WANTS_TRANSPORT

cdef class Backend(Candidate):
    """One endpoint: an address with its connections, load and metrics."""
    cdef readonly Address address
    cdef readonly bint h2            # protocol hint: a meshed peer that takes HTTP/2 and l5d-orig-proto
    # Answered an HTTP/2 preface with something else; learned, until it is connected anew after a failure.
    cdef bint http1_only
    cdef readonly bint secured       # its connections are TLS, and it has proven who it is
    cdef readonly bint alone         # forwarded, not balanced: connect errors are answered at once
    # Owned; response families of this endpoint; None inbound: there the client has a say in the labels.
    cdef HttpMetrics http
    cdef bytes http_labels
    cdef int serve(self, Waiter waiter, Wants wants) except -1
    cdef int withdraw(self, Waiter waiter) except -1            # idempotent
    # Owned; None: whatever fails there, it stays among those that may be chosen.
    cdef Breaker breaker
    # What an exchange that was sent to it then says of it, once each; where there is a breaker. hold_ns: how
    # long it asked to be left alone, or 0.
    cdef int hear(self, Verdict verdict, int64_t sent, int64_t hold_ns, int64_t now) except -1
    # Whether who answers there has proven to be `name`.
    cdef bint proves(self, Span name) noexcept

cdef class Logical(Actor):
    """A target's choice among its backends."""
    cdef int choose(self, Waiter waiter) except -1
    # Answers with on_profile once discovery has spoken, else with on_unavailable.
    cdef int await_profile(self, Waiter waiter) except -1
    cdef int withdraw(self, Waiter waiter) except -1            # idempotent; ends either wait
    cdef bint is_ready(self) noexcept                           # a backend could be chosen now

cdef class Router(Dispatch):
    """Policy of one server connection: where its exchanges go, how errors look, what is counted. Makes the
    exchanges."""
    cdef Loop loop
    cdef bint outbound
    cdef bint informational          # emit l5d-proxy-error / l5d-proxy-connection
    cdef bint accept_orig_proto      # honour l5d-orig-proto of HTTP/2 clients
    cdef Seeker seeker               # who looks for exchanges to see; never None
    # Finds the logical of this request. None: answered through on_unavailable already. Where the exchange
    # stands in a queue, it is not let in yet: let_in_later says more after `on_examined`, or a gate does.
    cdef Logical logical_for(self, Waiter exchange, Head head)
    # Whether it is let in, or stands in a queue again; else it is answered.
    cdef bint let_in_later(self, Waiter exchange, Head head) except -1
    # What was decided about this request, before a backend is chosen for it. None: nothing.
    cdef Plan plan_for(self, Logical logical, Head head)
    # A request that was admitted to one target takes a way to another: it uses that one, too, until it
    # leaves.
    cdef int enter(self, Logical way) except -1
    cdef int leave_way(self, Logical way) except -1
    # CONNECT is addressed to us, not to the target.
    cdef bint is_forward_proxy(self) noexcept
    # backend is None when the exchange failed before one was found; passage: under which it was let in. May
    # be None: not counted.
    cdef HttpMetrics metrics_for(self, Logical logical, Backend backend, Head head, Passage passage)
    # Before the request head goes to `backend` for the first time: our own l5d-* fields in or out.
    cdef int stamp(self, Logical logical, Backend backend, Head head) except -1
    # The proxy answers a request itself, or has to break it off: once an exchange.
    cdef int count_error(self, ResponseError error) except -1
    # The same where it answers, before it does: with what status and in which words, and who was to answer,
    # if that was known.
    cdef int say(self, Logical logical, Backend backend, int status, const char* text, size_t n) except -1
    # An exchange that logical_for admitted is over.
    cdef int ended(self, Logical logical) except -1
    # CONNECT to us as a forward proxy was accepted: what follows on the transport is a new connection to
    # that logical.
    cdef int take_over(self, Transport transport, Logical logical) except -1
    # Pump the two until both end; that occupies `seats` as long (None: nobody counts it).
    cdef int tunnel(self, Transport client, Transport server, Seating seats) except -1
