# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Looked at only where an exchange failed, or where there is a breaker."""

from libc.string cimport memcpy, memset
from libc.stdint cimport int64_t
from linkerd2_py._ext.balance.accrual cimport (
    VERDICT_FAILURE, VERDICT_LIMITED, VERDICT_SUCCESS, Verdict,
)
from linkerd2_py._ext.exchange.head cimport Field

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <time.h>
    char *strptime(const char *, const char *, struct tm *);
    time_t timegm(struct tm *);
    """
    struct tm:
        pass
    char* strptime(const char* text, const char* pattern, tm* into) nogil
    int64_t timegm(tm* parts) nogil

cdef enum:
    DIGITS = 9                # more would be decades
    DATE_ROOM = 64
    GRPC_UNKNOWN = 2
    GRPC_DEADLINE_EXCEEDED = 4
    GRPC_PERMISSION_DENIED = 7
    GRPC_RESOURCE_EXHAUSTED = 8
    GRPC_INTERNAL = 13
    GRPC_UNAVAILABLE = 14
    GRPC_DATA_LOSS = 15


cdef double weight_of_answer(int status, int grpc_status) noexcept nogil:
    if grpc_status == GRPC_UNAVAILABLE or grpc_status == GRPC_RESOURCE_EXHAUSTED:
        return 1.0
    if grpc_status in (GRPC_UNKNOWN, GRPC_DEADLINE_EXCEEDED, GRPC_INTERNAL, GRPC_DATA_LOSS):
        return 0.5
    if status in (429, 502, 503, 504):
        return 1.0
    return 0.5 if status >= 500 else 0.0


cdef Verdict verdict_of_answer(int status, int grpc_status) noexcept nogil:
    if grpc_status == GRPC_RESOURCE_EXHAUSTED:
        return VERDICT_LIMITED
    if grpc_status == GRPC_PERMISSION_DENIED or weight_of_answer(0, grpc_status) or status >= 500:
        return VERDICT_FAILURE
    return VERDICT_LIMITED if status == 429 else VERDICT_SUCCESS


cdef int64_t hold_asked(Head head, int64_t wall_s) noexcept:
    cdef Field* field = head.find_name("retry-after", 11)
    cdef int64_t asked
    if field != NULL:
        asked = whole(field)
        return (max(0, date(field) - wall_s) if asked < 0 else asked) * 1000000000
    field = head.find_name("grpc-retry-pushback-ms", 22)
    return 0 if field == NULL else max(0, whole(field)) * 1000000


cdef int64_t whole(const Field* field) noexcept nogil:
    """The number that the value is, -1 where it is none."""
    cdef int64_t value = 0
    cdef size_t i
    if not 1 <= field.value_len <= DIGITS:
        return -1
    for i in range(field.value_len):
        if not c"0" <= field.value[i] <= c"9":
            return -1
        value = value * 10 + (field.value[i] - c"0")
    return value


cdef int64_t date(const Field* field) noexcept nogil:
    """Seconds since 1970 of an HTTP date in the form that is sent today (RFC 9110 section 5.6.7), 0 where
    it is none."""
    cdef char[DATE_ROOM] text
    cdef tm parts
    if field.value_len >= DATE_ROOM:
        return 0
    memcpy(text, field.value, field.value_len)
    text[field.value_len] = 0
    memset(&parts, 0, sizeof(parts))
    if strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts) == NULL:
        return 0
    return timegm(&parts)
