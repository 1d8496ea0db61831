"""A listening socket: accepts in batches, backs off on EMFILE/ENFILE (one reserved fd sheds the connection)
and when the kernel watches no more, never spins, and goes on after a failure."""

from libc.stdint cimport int64_t, uint64_t
from linkerd2_py._ext.io.actor cimport Actor, Timer
from linkerd2_py._ext.io.address cimport Address, SocketOptions
from linkerd2_py._ext.io.loop cimport Loop, Source
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

cdef class Accepting(Actor):
    """Who takes accepted transports. Takes ownership: must attach a session or abort."""
    # For the next connection; a plain one unless overridden.
    cdef Transport new_transport(self)
    cdef int on_accepted(self, Transport transport) except -1

cdef class Listener(Source):
    """Python: Listener(loop, fd_or_(host, port), accepting, options, metrics, backlog, hold).

    .address (actual), .start(), .close(), .shed (count).
    """
    cdef Accepting accepting              # owned until close
    cdef TcpMetrics metrics               # owned or None: handed to every transport
    cdef readonly Address address
    cdef readonly uint64_t accepted       # connections handed out
    # Connections reset because no descriptor was left, or the kernel would not watch it.
    cdef readonly uint64_t shed
    cdef readonly uint64_t exhausted      # times accepting was suspended for want of descriptors or memory
    # callable(listener) or None; at most once in ten seconds: for the log.
    cdef public object on_exhausted
    # Owned fd, given up to accept and reset one connection; -1 if it was lost.
    cdef int reserved
    cdef bint suspended
    cdef bint unusable                    # its socket is none any more: nothing to try again
    cdef bint held                        # bound, and clients may connect; none is accepted before start()
    cdef int64_t backoff_ns               # 0 when the last accept went well
    cdef int64_t reported_at
    cdef Timer retry

    cdef int open_socket(self, Address where, SocketOptions options, int backlog) except -1
    cdef int accept_some(self) except -1
    cdef bint admit(self, int fd) except -1
    cdef int shed_some(self) except -1
    cdef int suspend(self) except -1
    cdef int report_exhausted(self) except -1
    cdef int shut(self) except -1
