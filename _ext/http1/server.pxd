"""The HTTP/1 server codec: a session that turns a client's bytes into server halves of exchanges, one at a
time, in order."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.core.types cimport flag
from linkerd2_py._ext.exchange.head cimport Head, Version
from linkerd2_py._ext.exchange.stream cimport Dispatch
from linkerd2_py._ext.http1.session cimport Http1Half, Http1Session
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.transport cimport Transport

cdef class Http1Server(Http1Session):
    """Http1Server(dispatch, limits). Attach to a transport (its inbox may hold the first bytes). It does
    keep-alive, pipelining (the next head is parsed only when the current exchange has ended), Expect, Upgrade
    and CONNECT, and limits the time that a head may take. `drain()` closes when idle, else adds connection:
    close to the current response. While an exchange is under way reading goes on, up to one inbox, so that a
    reset is seen at once. A FIN after a complete request may be a half-close and is still answered, if
    anything is sent to the client within `half_close_ns`: only bytes that it does not want show that a client
    is gone.
    """
    cdef Dispatch dispatch             # owned
    # Refusals of bytes carry l5d-proxy-error; set by the owner after construction
    cdef flag informational
    cdef readonly uint32_t exchanges   # ended on this connection
    cdef int drain(self) except -1
    cdef int abort(self) except -1     # RST now; the exchange under way is told FAULT_LOCAL

    # -- private
    cdef Head head                     # owned: of the current exchange, else None
    cdef Timer clock                   # of the head or of keep-alive idleness; None when nothing is limited
    # transport.tx_bytes when the clock was last started or had seen progress
    cdef uint64_t sent_mark
    cdef uint64_t read_mark            # transport.rx_bytes of that time
    cdef int64_t sent_at               # ... when that was
    cdef flag end_seen                 # the client has ended its side, and the marks were set
    # ... and something was sent to it since: if it were gone it would have reset the connection
    cdef flag end_meant
    cdef flag turn_paused              # reading is paused: a pipelined request fills the inbox
    cdef flag draining
    cdef flag close_after              # the connection ends with the current response
    cdef flag client_closes            # the client has asked for that
    cdef int begin_exchange(self, Head head, int length) except -1
    cdef int refuse(self, int status, const char* reason) except -1
    cdef int write_refusal(self, Transport transport, int status, const char* reason) except -1
    cdef int truncated(self) except -1
    cdef bint rest_is_here(self) noexcept
    cdef int set_aside(self) except -1
    cdef int pause_turn(self) except -1
    cdef int resume_turn(self) except -1
    cdef int watch_end(self) except -1
    cdef int check_end(self) except -1
    cdef int watch_reader(self) except -1
    cdef int look_at_reader(self) except -1
    cdef int check_reader(self) except -1
    cdef int start_clock(self, int kind, int64_t delay_ns) except -1
    cdef int stop_clock(self) except -1
    cdef int look_again(self) except -1
    cdef int close(self) except -1

cdef class Http1ServerHalf(Http1Half):
    cdef Version client_version
    cdef flag is_head, is_connect      # the method of the request
    cdef int begin(self, Head head) except -1
    cdef bint is_last(self) noexcept
    cdef bint choose_framing(self, Head head) noexcept
