# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One pass over the fields; most requests have none of these, and no name is compared for them."""

from libc.string cimport memcmp, memcpy, memset

from linkerd2_py._ext.exchange.head cimport FIELD_DROPPED, H_OTHER, Field, Head, equals_lower

cdef enum:
    W3C_LEN = 55               # 00-<32>-<16>-<2>
    W3C_SPAN_AT = 36
    SPAN_DIGITS = 16
    TRACE_DIGITS = 32

cdef struct Found:
    int w3c, traceparents      # which field, -1: none; how many
    int b3, b3_trace, b3_span, b3_sampled, b3_flags


cdef inline bint is_named(const Field* field, const char* lower, size_t length) noexcept:
    return equals_lower(field.name, field.name_len, lower, length)


cdef int find(Head head, Found* found) noexcept:
    cdef Field* field
    cdef int i
    memset(found, 0xFF, sizeof(Found))
    found.traceparents = 0
    for i in range(head.count):
        field = &head.fields[i]
        if field.id != H_OTHER or field.flags & FIELD_DROPPED:
            continue
        if field.name_len == 2:
            if is_named(field, "b3", 2):
                found.b3 = i
        elif field.name_len == 10:
            if is_named(field, "x-b3-flags", 10):
                found.b3_flags = i
        elif field.name_len == 11:
            if is_named(field, "traceparent", 11):
                found.w3c = i
                found.traceparents += 1
            elif is_named(field, "x-b3-spanid", 11):
                found.b3_span = i
        elif field.name_len == 12:
            if is_named(field, "x-b3-traceid", 12):
                found.b3_trace = i
            elif is_named(field, "x-b3-sampled", 12):
                found.b3_sampled = i
    return 0


cdef inline int digit(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    if c"a" <= c <= c"f":
        return c - c"a" + 10
    return c - c"A" + 10 if c"A" <= c <= c"F" else -1


cdef bint read_hex(unsigned char* to, size_t size, const char* p) noexcept nogil:
    """So many bytes of so many digits, which are not all zeroes."""
    cdef int high, low, any = 0
    cdef size_t i
    for i in range(size):
        high = digit(p[2 * i])
        low = digit(p[2 * i + 1])
        if high < 0 or low < 0:
            return False
        to[i] = <unsigned char> (high << 4 | low)
        any |= to[i]
    return any != 0


cdef bint read_trace_id(Trace* trace, const char* p, size_t digits) noexcept nogil:
    """B3's may be half as long."""
    memset(trace.trace_id, 0, TRACE_BYTES)
    if digits == TRACE_DIGITS:
        return read_hex(trace.trace_id, TRACE_BYTES, p)
    if digits == SPAN_DIGITS:
        return read_hex(&trace.trace_id[TRACE_BYTES - SPAN_BYTES], SPAN_BYTES, p)
    return False


cdef bint read_w3c(const Field* field, Trace* trace) noexcept nogil:
    cdef const char* p = field.value
    cdef int high, low
    if field.value_len != W3C_LEN or memcmp(p, b"00-", 3) != 0 or p[35] != c"-" or p[52] != c"-":
        return False
    high, low = digit(p[53]), digit(p[54])
    trace.sampled = low & 1
    trace.at = W3C_SPAN_AT
    if high < 0 or low < 0:
        return False
    if not trace.sampled:
        return True
    if not read_hex(trace.parent_id, SPAN_BYTES, p + W3C_SPAN_AT):
        return False
    return read_hex(trace.trace_id, TRACE_BYTES, p + 3)


cdef bint is_yes(const Field* field) noexcept:
    return field.value_len == 1 and field.value[0] == c"1" or equals_lower(
        field.value, field.value_len, "true", 4
    )


cdef bint read_b3_fields(Head head, const Found* found, Trace* trace) noexcept:
    cdef Field* named
    cdef Field* span
    if found.b3_trace < 0 or found.b3_span < 0:
        return False
    named, span = &head.fields[found.b3_trace], &head.fields[found.b3_span]
    trace.at = 0
    trace.sampled = (
        found.b3_sampled >= 0 and is_yes(&head.fields[found.b3_sampled])
        or found.b3_flags >= 0 and is_yes(&head.fields[found.b3_flags])
    )
    if span.value_len != SPAN_DIGITS or not trace.sampled:
        return span.value_len == SPAN_DIGITS
    if not read_hex(trace.parent_id, SPAN_BYTES, span.value):
        return False
    return read_trace_id(trace, named.value, named.value_len)


cdef bint read_b3(const Field* field, Trace* trace) noexcept nogil:
    """trace-span, then maybe -1, -0 or -d, and maybe the span before that."""
    cdef const char* p = field.value
    cdef size_t n = field.value_len
    cdef size_t digits = TRACE_DIGITS if n > TRACE_DIGITS and p[TRACE_DIGITS] == c"-" else SPAN_DIGITS
    cdef size_t after = digits + 1 + SPAN_DIGITS
    if n < after or p[digits] != c"-":
        return False
    trace.at = <uint32_t> (digits + 1)
    trace.sampled = False
    if n > after:
        if p[after] != c"-" or n < after + 2 or n > after + 2 and p[after + 2] != c"-":
            return False
        trace.sampled = p[after + 1] == c"1" or p[after + 1] == c"d"
    if not trace.sampled:
        return True
    return read_hex(trace.parent_id, SPAN_BYTES, p + digits + 1) and read_trace_id(trace, p, digits)


cdef bint read_trace(Head head, Trace* trace) noexcept:
    cdef Found found
    find(head, &found)
    if found.traceparents == 1 and read_w3c(&head.fields[found.w3c], trace):
        trace.field = found.w3c
        return True
    if read_b3_fields(head, &found, trace):
        trace.field = found.b3_span
        return True
    if found.b3 >= 0 and read_b3(&head.fields[found.b3], trace):
        trace.field = found.b3
        return True
    return False


cdef int write_span(Head head, const Trace* trace, const unsigned char* span_id) except -1:
    cdef const char* digits = "0123456789abcdef"
    cdef Field* field = &head.fields[trace.field]
    cdef char* value = head.alloc(field.value_len)
    cdef char* to = value + trace.at
    cdef int i
    memcpy(value, field.value, field.value_len)
    for i in range(SPAN_BYTES):
        to[2 * i] = digits[span_id[i] >> 4]
        to[2 * i + 1] = digits[span_id[i] & 15]
    field.value = value
    return 0
