"""Spans of requests whose trace says that they are sampled, as OTLP has them."""

from cython cimport final
from libc.stdint cimport int64_t, uint64_t
from linkerd2_py._ext.core.wire cimport Wire
from linkerd2_py._ext.exchange.exchange cimport Exchange
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.observe cimport Observer, Seeker
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.metrics.series cimport Counter
from linkerd2_py._ext.observers.trace_context cimport Trace

@final
cdef class Spans(Seeker):
    """One for all servers of a proxy. A request has two spans here, as with Linkerd: of being a server, whose
    parent is the span that its head names, and below it of being a client, which the head names to
    whoever is next. A trace that is not sampled passes as it came."""
    cdef Loop loop
    cdef Wire wire                     # owned: spans that nobody took, each a field `spans` of a ScopeSpans
    cdef readonly Py_ssize_t waiting   # how many
    cdef readonly Counter lost         # owned
    cdef uint64_t salt                 # of this process's span ids
    cdef public object on_first        # callable(), or None: there is something to take
    cdef int new_span_id(self, unsigned char* to) noexcept
    cdef int put(self, Traced traced, Exchange exchange, bint failed) except -1

@final
cdef class Traced(Observer):
    """A request that is sampled. Recycled."""
    cdef Spans spans                   # owned; None while recycled
    cdef tuple alone                   # (self,), for the exchange: a cycle that recycled ones keep
    cdef Trace trace
    cdef unsigned char[8] server_id
    cdef unsigned char[8] client_id
    cdef int64_t started, wall         # loop ns; ns since 1970
    cdef bint sent                     # to somebody
    cdef Wire about                    # owned: name and attributes of both spans, once encoded
    cdef int note(self, Spans spans, Exchange exchange, Head head) except -1
    cdef int describe(self, Exchange exchange, Head head) except -1
    cdef int put_span(
        self, Wire wire, Exchange exchange, bint is_client, int64_t begun, int64_t ended, bint failed
    ) except -1
    cdef int forget(self) noexcept
