"""What is told of an exchange, as TapEvents of io.linkerd.proxy.tap (proto/tap.proto)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.tap.match cimport Facts
from linkerd2_py._ext.core.wire cimport Wire

# Joins the events of one exchange that one tap sees.
cdef struct EventId:
    uint32_t base
    uint64_t stream

cdef enum EventEnd:
    EVENT_ENDED, EVENT_ENDED_IN_GRPC, EVENT_RESET

# How a response ended. `code` is gRPC's status or HTTP/2's error.
cdef struct Ending:
    EventEnd kind
    uint32_t code
    uint64_t response_bytes
    int64_t since_request_ns
    int64_t since_response_ns          # -1: there was no response

# What all events of an exchange say. `source_tls` and `destination_tls` are the labels of metrics.
cdef int put_ends(
    Wire wire, Facts facts, tuple source_tls, tuple destination_tls, bint outbound
) except -1
# Then one of these. `fields`: with the fields of the head, those that are secret without their values.
cdef int put_request(Wire wire, EventId id, Head head, bint fields) noexcept
# `head` None: the proxy answered in its own name.
cdef int put_response(
    Wire wire, EventId id, int64_t since_request_ns, uint32_t status, Head head, bint fields
) noexcept
# `trailers` None: there were none, or nobody wants them.
cdef int put_end(Wire wire, EventId id, Ending ending, Wire trailers) noexcept
# The fields as http_types.Headers, without tag and length.
cdef int put_fields(Wire wire, Head head) noexcept
cdef bint is_secret(const char* name, size_t length) noexcept nogil
