# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""As https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md has them."""

from linkerd2_py._ext.core.clock cimport MS, SECOND
from linkerd2_py._ext.exchange.head cimport (
    H_CONTENT_TYPE,
    H_GRPC_MESSAGE,
    H_GRPC_STATUS,
    METHOD_POST,
    Field,
    equals_lower,
    parse_length,
)

cdef enum:
    TYPE_LENGTH = 16             # application/grpc
    TIMEOUT_DIGITS = 8
    METHOD_NOT_ALLOWED = 405
    UNSUPPORTED_MEDIA_TYPE = 415

# Longer than any program runs, and far from overflow when added to a clock.
cdef int64_t LONGEST_NS = <int64_t> 31536000 * SECOND
# How each byte of a message is written.
cdef list ENCODED = [
    b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in range(256)
]


cdef int refusal_of(Head head) noexcept:
    cdef Field* field = head.find(H_CONTENT_TYPE)
    if head.method_id != METHOD_POST:
        return METHOD_NOT_ALLOWED
    if field == NULL or field.value_len < TYPE_LENGTH:
        return UNSUPPORTED_MEDIA_TYPE
    if not equals_lower(field.value, TYPE_LENGTH, "application/grpc", TYPE_LENGTH):
        return UNSUPPORTED_MEDIA_TYPE
    if field.value_len > TYPE_LENGTH and field.value[TYPE_LENGTH] not in (c"+", c";"):
        return UNSUPPORTED_MEDIA_TYPE
    return 0


cdef int64_t timeout_of(Head head) noexcept:
    cdef Field* field = head.find_name("grpc-timeout", 12)
    cdef int64_t count, unit
    if field == NULL:
        return 0
    if not 2 <= field.value_len <= TIMEOUT_DIGITS + 1:
        return -1
    count = parse_length(field.value, field.value_len - 1)
    unit = unit_of(field.value[field.value_len - 1])
    if count < 0 or unit == 0:
        return -1
    # None left is not the same as none given.
    return max(<int64_t> 1, min(count, LONGEST_NS // unit) * unit)


cdef int64_t unit_of(char letter) noexcept nogil:
    if letter == c"H":
        return <int64_t> 3600 * SECOND
    if letter == c"M":
        return <int64_t> 60 * SECOND
    if letter == c"S":
        return SECOND
    if letter == c"m":
        return MS
    if letter == c"u":
        return 1000
    return letter == c"n"


cdef bint is_compressed(Head head) noexcept:
    cdef Field* field = head.find_name("grpc-encoding", 13)
    return field != NULL and not equals_lower(field.value, field.value_len, "identity", 8)


cdef int put_content_type(Head head) except -1:
    return head.add("content-type", 12, "application/grpc", TYPE_LENGTH, H_CONTENT_TYPE, 0)


cdef int put_status(Head head, int status, bytes words) except -1:
    cdef bytes digits = b"%d" % status
    cdef bytes encoded
    head.put("grpc-status", 11, digits, len(digits), H_GRPC_STATUS)
    if words:
        encoded = percent_encoded(words)
        head.put("grpc-message", 12, encoded, len(encoded), H_GRPC_MESSAGE)
    return 0


cdef bytes percent_encoded(bytes words):
    cdef unsigned char byte
    return b"".join([ENCODED[byte] for byte in words])
