"""One call of gRPC that Python answers: a request message in, any number of messages out, a status."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Dispatch, Peer
from linkerd2_py._ext.http2.half cimport Http2Half
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop

cdef class Calls(Dispatch):
    """What all calls of a server share."""
    cdef readonly Loop loop
    # callable(call, path, headers, request), once the whole request is there. What it raises ends the call.
    cdef object on_call
    cdef readonly Py_ssize_t open         # begun and not over
    cdef readonly Py_ssize_t calls_max
    cdef readonly Py_ssize_t overflowed   # ended because their callers did not keep up
    cdef size_t request_bytes             # of a request message, at most
    cdef size_t queue_bytes               # that wait behind others for a caller, at most
    cdef int64_t request_timeout_ns       # from its head to its end
    cdef Call new_call(self, Address peer, str identity)

cdef class Call(Peer):
    """Held by its half while that lives, and by whoever answers it."""
    cdef Calls calls                      # owned
    cdef Http2Half half                   # owned until the call is over: breaks the cycle
    cdef readonly Address peer            # of the caller
    cdef readonly str identity            # what the caller has proven to be; None: nobody
    cdef bytes path                       # both owned until Python is asked
    cdef list headers
    cdef list chunks                      # of the request; None once Python was asked
    cdef size_t size                      # of them
    cdef bint compressed                  # the head says so of its messages
    cdef bint head_sent
    cdef int64_t deadline_ns              # of the loop's clock; 0: none
    cdef Timer timer                      # until the request is whole, then of the deadline; None: neither
    # callable() or None: the caller has gone, or waits no longer, before the call was finished. Once, and
    # then it is let go of.
    cdef public object on_gone

    cdef int take(self, const char* p, size_t n) except -1
    cdef int judge(self) except -1                               # the request is whole
    cdef int ask(self, bytes request) except -1
    cdef int wait(self, int64_t timeout_ns) except -1
    cdef int refuse_in_http(self, int status) except -1
    cdef int answer(self, Head head) except -1
    cdef int end(self, int status, bytes words, object trailers) except -1
    # False: too much waits for the caller already, and nothing was queued.
    cdef bint put(self, const char* p, size_t n) except -1
    cdef int let_go(self) except -1                              # idempotent
    cdef int lost(self) except -1                                # and tells whoever answers it
