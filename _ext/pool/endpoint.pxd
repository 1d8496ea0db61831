"""An endpoint with its connections: HTTP/1 keep-alive stack, HTTP/2 connections, a spare that proves it
reachable, and back-off while it is not."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.balance.accrual cimport Accrual, Step, Verdict
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.backend cimport Logical, Waiter, WaiterQueue, Wants
from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Stream
from linkerd2_py._ext.http1.client cimport Http1Client
from linkerd2_py._ext.http2.client cimport Http2Client
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.pool.dial cimport Dial, Dialer
from linkerd2_py._ext.pool.idle cimport IdleConnections
from linkerd2_py._ext.pool.spare cimport Spare

cdef enum Health:
    HEALTH_NEW            # never connected
    HEALTH_READY          # the last connect succeeded
    HEALTH_FAILING        # the last connect failed: waiting out the back-off, then probing

cdef class Roster(Logical):
    """Who keeps the set of endpoints (a target). Told of health changes; `on_failing` comes before the
    waiters of the endpoint are failed."""
    cdef int on_ready(self, Endpoint endpoint) except -1
    cdef int on_failing(self, Endpoint endpoint) except -1
    # Whether the set may be without it; asked when it has failed enough.
    cdef bint can_spare(self, Endpoint endpoint) noexcept
    # Its breaker changed (wait_ns: for how long it is open), or stays closed though it tripped, for it cannot
    # be spared.
    cdef int on_breaker(self, Endpoint endpoint, Step step, int64_t wait_ns) except -1

cdef class Endpoint(Dialer):
    cdef Roster roster                # owned; None after close
    cdef Connections connections      # owned; refers back to this endpoint until close
    cdef Health health
    cdef bint in_pod                  # it is the workload that this proxy stands beside
    cdef Limits http2_limits          # of its HTTP/2 connections, as discovery says
    cdef bint pings_idle              # they ask whether they live without a stream, too
    cdef int failures                 # connects failed in a row, or HTTP/2 connections made in vain
    # By the peer, on one HTTP/2 connection, as its last SETTINGS said; -1 while not known
    cdef int streams_allowed
    cdef WaiterQueue waiting_http1    # owned
    cdef WaiterQueue waiting_http2    # owned
    # Owned: those who are told, some a turn, that no connection could be had
    cdef WaiterQueue failed
    cdef FaultKind failed_kind        # of the latest of them
    cdef int failed_code
    cdef IdleConnections idle         # owned
    cdef list multiplexed             # Http2Client that take new streams
    cdef Spare spare                  # a connection nobody has used yet, or None
    cdef Timer backoff, sweep
    cdef Timer penalty                # of its breaker; None without one
    cdef Timer patience               # armed while somebody waits for a connection or a stream
    cdef int open(self) except -1                    # what is balanced is probed
    cdef int probe(self) except -1                   # private
    # Replaces its breaker by a new one, or by none; where its roster has it is told nothing.
    cdef int guard(self, Accrual accrual) except -1
    cdef int begin_probe(self) except -1             # its breaker lets one exchange through: this one
    cdef int obey(self, Step step, int64_t hold_ns) except -1                  # private
    # Removed from its target: in flight finish, idle ones close, waiters choose again
    cdef int close(self) except -1
    cdef int serve_http1(self, Waiter waiter) except -1
    cdef int serve_http2(self, Waiter waiter) except -1
    cdef int wait(self, WaiterQueue queue, Waiter waiter) except -1   # until the fail-fast time is over
    cdef int run_out(self) except -1
    cdef int turn_away(self, WaiterQueue queue) except -1
    cdef int wait_on(self) except -1
    cdef bint is_stuck(self)
    cdef int serve_fresh(self, Waiter waiter, Wants wants) except -1
    cdef int dial_http1(self) except -1
    cdef int dial_http2(self) except -1
    cdef bint needs_http2(self)
    cdef int dial_for_others(self, Wants wants) except -1
    cdef bint has_room_http2(self)
    cdef bint keeps_older(self, int64_t since)
    cdef Http2Client newer(self, int64_t since)
    cdef int give_waiter(self, Dial dial, Transport transport) except -1
    cdef int fail_all(self, WaiterQueue waiters, FaultKind kind, int code) except -1
    cdef int fail_next(self) except -1
    cdef int become_ready(self) except -1
    cdef int become_failing(self) except -1
    cdef Http1Client new_http1(self, Transport transport)
    cdef Http2Client new_http2(self, Transport transport)
    cdef int serve_waiting_http1(self, Http1Client client) except -1
    cdef int serve_waiting_http2(self, Http2Client client) except -1
    cdef int on_http2_over(self, Http2Client client, FaultKind kind, int code) except -1
    cdef int keep_idle(self, Http1Client client) except -1
    cdef int keep_spare(self, Transport transport) except -1
    cdef bint has_spare(self, Wants wants)
    cdef Transport adopt_spare(self)
    cdef int close_spare(self) except -1
    cdef int watch_idle(self) except -1
    cdef int retire_idle(self) except -1
    cdef int hand_out(self, Stream half, bint pooled, Waiter waiter) except -1

cdef class Connections(ConnectionOwner):
    cdef Endpoint endpoint            # owned
