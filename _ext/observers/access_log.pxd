"""The access log: a line for each request that a server is asked, in Linkerd's two formats.

    10.42.0.63:51160 web.shop.serviceaccount.identity.linkerd.cluster.local - [2026-08-23T20:28:20.071809491Z]
        "GET http://books:7000/ HTTP/2.0" 200          (apache: one line)
    {"client.addr":…,"client.id":…,"host":…,"method":…,"processing_ns":"…","request_bytes":…,
     "response_bytes":…,"status":200,"timestamp":…,"total_ns":"…","trace_id":…,"uri":…,"user_agent":…,
     "version":"HTTP/2.0"}                             (json: one line)

A request is written when the head of its response goes to the client, or at its end where there was none.
"""

from cython cimport final
from libc.stdint cimport int64_t
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.exchange.exchange cimport Exchange
from linkerd2_py._ext.exchange.head cimport Head, Version
from linkerd2_py._ext.exchange.observe cimport Observer, Seeker
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.observers.escape cimport Style
from linkerd2_py._ext.observers.lines cimport Lines

# What is kept of a request's head until its line is written, in this order.
cdef enum:
    PART_METHOD, PART_URI, PART_HOST, PART_AGENT, PART_TRACE
    PARTS

cdef enum:
    DATE_BYTES = 19            # 2026-08-23T20:28:20

@final
cdef class AccessLog(Seeker):
    cdef Loop loop
    cdef Lines lines                   # owned
    cdef bint json
    # The last second that was written, since 1970, and how
    cdef int64_t second
    cdef char[32] date

    cdef size_t put_time(self, char* at, int64_t wall_ns) noexcept

@final
cdef class Entry(Observer):
    """What is known of one request until its line is written. Recycled."""
    cdef AccessLog log                 # owned; None while recycled
    cdef tuple alone                   # (self,), for the exchange: a cycle that recycled ones keep
    cdef Address peer                  # owned, or None
    cdef bytes identity                # owned: what the client has proven; None: nothing
    cdef Buffer kept                   # owned until the line is written: the parts
    cdef size_t[6] at                  # where each part begins, and the last one ends
    cdef Version version
    cdef int64_t request_bytes         # as its head says; -1: it does not
    cdef int64_t started, wall         # loop ns; ns since 1970
    cdef int64_t processing            # ns
    cdef int note(self, AccessLog log, Exchange exchange, Head head) except -1
    cdef int keep(self, Head head) except -1
    # `status` 0: nobody was told one.
    cdef int write(self, int status, int64_t response_bytes) except -1
    cdef char* put_apache(self, char* to, int status) noexcept
    cdef char* put_json(self, char* to, int status, int64_t total, int64_t response_bytes) noexcept
    cdef char* put_part(self, char* to, const char* name, int part, Style style) noexcept
    cdef char* put_identity(self, char* to) noexcept
    cdef char* put_peer(self, char* to) noexcept
    cdef int forget(self) noexcept
