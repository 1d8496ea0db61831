# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A few words and numbers, read where they stand."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport FIELD_DROPPED, Field, equals_lower
from linkerd2_py._ext.exchange.retry cimport Conditions, Retry, add_statuses

cdef enum:
    MOST_RETRIES = 65535
    NS_A_MS = 1000000

# Of milliseconds: a hundred years
cdef int64_t MOST_MS = 3153600000000

# As Linkerd has them where a route says nothing of retries.
cdef Retry BY_REQUEST = Retry(limit=1, pause_ns=25_000_000, longest_pause_ns=250_000_000, jitter=1.0)

cdef tuple CODES = (
    (b"cancelled", 1), (b"deadline-exceeded", 4), (b"resource-exhausted", 8), (b"internal", 13),
    (b"unavailable", 14),
)


cdef int override(Course course, Head head) except -1:
    cdef Span found
    cdef bint retries = False
    cdef int64_t limit = -1, ns
    # What the request says takes the place of what its route says.
    if take(head, b"l5d-retry-http", &found):
        course.own_conditions()
        memset(course.own.statuses, 0, sizeof(course.own.statuses))
        read_statuses(&course.own, found)
        retries = True
    if take(head, b"l5d-retry-grpc", &found):
        course.own_conditions()
        course.own.codes = 0
        read_codes(&course.own, found)
        retries = True
    if take(head, b"l5d-retry-limit", &found):
        limit = number(trimmed(found))
    if take(head, b"l5d-retry-timeout", &found):
        ns = duration(found)
        if ns >= 0:
            course.try_ns = ns
            retries = True
    if course.retry is None and (retries or limit >= 0):
        course.retry = BY_REQUEST
        course.pause_ns = BY_REQUEST.pause_ns
        course.left = BY_REQUEST.limit
    if limit >= 0:
        course.left = <int> min(limit, <int64_t> MOST_RETRIES)
    return override_timeouts(course, head)


cdef int override_timeouts(Course course, Head head) except -1:
    cdef Span found
    cdef int64_t ns
    # The longer name has the last word.
    for name in (b"l5d-timeout", b"l5d-request-timeout"):
        if take(head, name, &found):
            ns = duration(found)
            if ns >= 0:
                course.request_ns = max(ns, <int64_t> 1)
    if take(head, b"l5d-response-timeout", &found):
        ns = duration(found)
        if ns >= 0:
            course.response_ns = max(ns, <int64_t> 1)
    return 0


cdef bint take(Head head, bytes name, Span* value) except -1:
    """The first of that name; all go."""
    cdef const char* text = name
    cdef size_t length = len(name)
    cdef Field* field
    cdef bint found = False
    cdef int i
    for i in range(head.count):
        field = &head.fields[i]
        if field.flags & FIELD_DROPPED or not equals_lower(field.name, field.name_len, text, length):
            continue
        field.flags |= FIELD_DROPPED
        if not found:
            value.ptr = field.value
            value.len = field.value_len
            found = True
    return found


cdef Span next_word(Span* rest) noexcept:
    """Up to the next comma, which goes."""
    cdef Span word
    cdef size_t i = 0
    word.ptr = rest.ptr
    while i < rest.len and rest.ptr[i] != c",":
        i += 1
    word.len = i
    i = min(i + 1, rest.len)
    rest.ptr += i
    rest.len -= i
    return trimmed(word)


cdef Span trimmed(Span text) noexcept:
    while text.len and text.ptr[0] in (c" ", c"\t"):
        text.ptr += 1
        text.len -= 1
    while text.len and text.ptr[text.len - 1] in (c" ", c"\t"):
        text.len -= 1
    return text


cdef bint is_word(Span text, bytes lower) noexcept:
    return equals_lower(text.ptr, text.len, lower, len(lower))


cdef int read_statuses(Conditions* conditions, Span rest) except -1:
    """5xx, gateway-error, 503, 500-504: as many as there are, with commas between them."""
    cdef Span word, first
    cdef size_t i
    while rest.len:
        word = next_word(&rest)
        if is_word(word, b"5xx"):
            add_statuses(conditions, 500, 599)
        elif is_word(word, b"gateway-error"):
            add_statuses(conditions, 502, 504)
        else:
            first = word
            i = 0
            while i < word.len and word.ptr[i] != c"-":
                i += 1
            first.len = i
            if i < word.len:
                word.ptr += i + 1
                word.len -= i + 1
            if status_of(first) > 0 and status_of(word) > 0:
                add_statuses(conditions, status_of(first), status_of(word))
    return 0


cdef int read_codes(Conditions* conditions, Span rest) except -1:
    cdef Span word
    while rest.len:
        word = next_word(&rest)
        for name, code in CODES:
            if is_word(word, name):
                conditions.codes |= 1 << <int> code
    return 0


cdef int status_of(Span text) noexcept:
    """0 for what is none."""
    cdef int64_t found = number(text)
    return <int> found if 100 <= found <= 599 else 0


cdef int64_t number(Span text) noexcept:
    """Below 0 for what is none, or none that anybody could mean."""
    cdef int64_t value = 0
    cdef size_t i
    if text.len == 0:
        return -1
    for i in range(text.len):
        if not c"0" <= text.ptr[i] <= c"9" or value > MOST_MS:
            return -1
        value = value * 10 + (text.ptr[i] - c"0")
    return value if value <= MOST_MS else -1


cdef int64_t duration(Span text) noexcept:
    """ns; below 0 for what is none: whole numbers of ms, s, m, h or d, or 0."""
    cdef Span digits
    cdef int64_t unit_ms, value
    text = digits = trimmed(text)
    digits.len = 0
    while digits.len < text.len and c"0" <= text.ptr[digits.len] <= c"9":
        digits.len += 1
    value = number(digits)
    unit_ms = unit_of(text.ptr + digits.len, text.len - digits.len, value)
    if value < 0 or unit_ms <= 0 or value > MOST_MS // unit_ms:
        return 0 if value == 0 and unit_ms >= 0 else -1
    return value * unit_ms * NS_A_MS


cdef int64_t unit_of(const char* unit, size_t length, int64_t value) noexcept:
    """ms; below 0 for what is none."""
    if length == 0:
        return 0 if value == 0 else -1
    if length == 2 and unit[0] == c"m" and unit[1] == c"s":
        return 1
    if length != 1:
        return -1
    if unit[0] == c"s":
        return 1000
    if unit[0] == c"m":
        return 60000
    if unit[0] == c"h":
        return 3600000
    return 86400000 if unit[0] == c"d" else -1
