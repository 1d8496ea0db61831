"""What gRPC writes into the fields of HTTP/2: whether a request is one of its calls, how long its caller
waits, and how a call has ended."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.exchange.head cimport Head

cdef enum:
    GRPC_OK = 0
    GRPC_DEADLINE_EXCEEDED = 4
    GRPC_RESOURCE_EXHAUSTED = 8
    GRPC_UNIMPLEMENTED = 12
    GRPC_INTERNAL = 13
    GRPC_STATUSES = 17           # those there are: 0 to 16

# The status in HTTP that refuses what is no call, else 0.
cdef int refusal_of(Head head) noexcept
# Nanoseconds; 0: the caller waits as long as it takes; -1: it says what makes no sense.
cdef int64_t timeout_of(Head head) noexcept
# The caller compresses its messages in a way that is not "identity".
cdef bint is_compressed(Head head) noexcept
cdef int put_content_type(Head head) except -1
# `words`: percent-encoded here; none are left out.
cdef int put_status(Head head, int status, bytes words) except -1
