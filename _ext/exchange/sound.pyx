# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Authorities, paths, whole heads, trailers: one rule per function."""

from libc.string cimport memchr

from linkerd2_py._ext.core.scan cimport ADDRESS, DIGIT, HOST, TARGET, TOKEN, next_control, skip_class
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED,
    H_DATE,
    H_GRPC_MESSAGE,
    H_GRPC_STATUS,
    H_OTHER,
    H_SERVER,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    equals_lower,
    field_id,
)

cdef enum:
    LONGEST_NAME = 24      # no name that a trailer section may not hold is longer, but for prefixes


cdef bint is_authority(const char* p, const char* end, bint with_port) noexcept:
    cdef const char* stop
    if p == end:
        return False
    if p[0] == c"[":
        stop = skip_class(p + 1, end, ADDRESS)
        if stop == end or stop[0] != c"]" or stop - p < 3 or memchr(p, c":", stop - p) == NULL:
            return False
        stop += 1
    else:
        stop = skip_class(p, end, HOST)
        if stop == p:
            return False
    if stop == end:
        return not with_port
    if stop[0] != c":":
        return False
    return is_port(stop + 1, end) or (stop + 1 == end and not with_port)


cdef bint is_host(const char* p, const char* end) noexcept:
    if not is_authority(p, end, False):
        return False
    return (end - 1)[0] == c"]" if p[0] == c"[" else memchr(p, c":", end - p) == NULL


cdef bint is_port(const char* p, const char* end) noexcept:
    cdef int port = 0
    if p == end or end - p > 5 or skip_class(p, end, DIGIT) != end:
        return False
    while p < end:
        port = port * 10 + (p[0] - c"0")
        p += 1
    return port <= 65535


cdef bint is_path(Span path, Method method) noexcept:
    if path.len == 1 and path.ptr[0] == c"*":
        return method == METHOD_OPTIONS
    return path.len > 0 and path.ptr[0] == c"/" and all_of(path, TARGET)


cdef bint is_scheme(Span scheme) noexcept:
    return equals_lower(scheme.ptr, scheme.len, "http", 4) or equals_lower(scheme.ptr, scheme.len, "https", 5)


cdef bint is_sound_request(Head head) noexcept:
    if head.method.len == 0 or not all_of(head.method, TOKEN):
        return False
    if head.method_id == METHOD_CONNECT:
        return is_authority(head.authority.ptr, head.authority.ptr + head.authority.len, True)
    return (
        is_authority(head.authority.ptr, head.authority.ptr + head.authority.len, False)
        and is_path(head.path, head.method_id)
        and is_scheme(head.scheme)
    )


cdef bint is_writable(Head head) noexcept:
    cdef int i
    if not all_of(head.method, TOKEN) or not all_of(head.path, TARGET) or not all_of(head.authority, TARGET):
        return False
    if not all_of(head.scheme, TARGET) or has_control(head.reason.ptr, head.reason.len):
        return False
    for i in range(head.count):
        if not head.fields[i].flags & FIELD_DROPPED and not is_field(&head.fields[i]):
            return False
    return True


cdef bint is_field(const Field* field) noexcept:
    cdef const char* end = field.name + field.name_len
    if field.name_len == 0 or skip_class(field.name, end, TOKEN) != end:
        return False
    return not has_control(field.value, field.value_len)


cdef inline bint has_control(const char* p, size_t length) noexcept:
    return next_control(p, p + length) != p + length


cdef inline bint all_of(Span span, int kind) noexcept:
    return skip_class(span.ptr, span.ptr + span.len, kind) == span.ptr + span.len


# ---- trailers


cdef void settle_trailers(Head trailers) noexcept:
    cdef int i
    for i in range(trailers.count):
        if not may_trail(&trailers.fields[i]):
            trailers.fields[i].flags |= FIELD_DROPPED


cdef bint may_trail(const Field* field) noexcept:
    cdef char plain[LONGEST_NAME]
    cdef size_t i, length = field.name_len
    if field.id == H_GRPC_STATUS or field.id == H_GRPC_MESSAGE:
        return True
    if length == 0:
        return False
    # The beginning of a longer name tells whether it has a forbidden prefix; whole, it is none of the
    # forbidden ones.
    for i in range(min(length, <size_t> LONGEST_NAME)):
        plain[i] = plain_letter(field.name[i])
    if length > LONGEST_NAME:
        return field.id == H_OTHER and not is_forwarding(plain, LONGEST_NAME)
    return is_late(plain, length)


cdef inline char plain_letter(char letter) noexcept:
    if letter == c"_":
        return c"-"
    return letter | 32 if c"A" <= letter <= c"Z" else letter


# Whether that name, in lower case and with hyphens, says something that may still be said after a body.
cdef bint is_late(const char* name, size_t length) noexcept:
    cdef int id = field_id(name, length)
    if id != H_OTHER:
        return id == H_GRPC_STATUS or id == H_GRPC_MESSAGE or id == H_DATE or id == H_SERVER
    return not (
        is_forwarding(name, length)
        or equals_lower(name, length, "authorization", 13)
        or equals_lower(name, length, "cookie", 6)
        or equals_lower(name, length, "content-encoding", 16)
        or equals_lower(name, length, "content-range", 13)
        or equals_lower(name, length, "set-cookie", 10)
        or equals_lower(name, length, "max-forwards", 12)
        or equals_lower(name, length, "cache-control", 13)
        or equals_lower(name, length, "forwarded", 9)
    )


cdef bint is_forwarding(const char* name, size_t length) noexcept:
    return length > 12 and equals_lower(name, 12, "x-forwarded-", 12)
