"""What the end of an exchange says about the endpoint that served it: how much of a failure it is, and how
long the endpoint asks to be left alone.

The classes are Linkerd's (its load biaser): 429 and every 5xx, gRPC's UNAVAILABLE, RESOURCE_EXHAUSTED,
INTERNAL, UNKNOWN, DEADLINE_EXCEEDED and DATA_LOSS. What an application says when it fails by itself (500,
INTERNAL, UNKNOWN …) weighs half of what says that the endpoint cannot serve.

For a breaker the classes are those of Linkerd's: every 5xx, and gRPC's UNAVAILABLE, INTERNAL, UNKNOWN,
DEADLINE_EXCEEDED, DATA_LOSS and PERMISSION_DENIED; 429 and RESOURCE_EXHAUSTED stand between.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.balance.accrual cimport Verdict
from linkerd2_py._ext.exchange.head cimport Head

cdef double weight_of_answer(int status, int grpc_status) noexcept nogil     # 0: not a failure; 1 at most
cdef Verdict verdict_of_answer(int status, int grpc_status) noexcept nogil
# Retry-After in seconds or as a date, or grpc-retry-pushback-ms; 0 when there is none that can be read.
# wall_s: seconds since 1970.
cdef int64_t hold_asked(Head head, int64_t wall_s) noexcept
