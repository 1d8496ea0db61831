# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One array for all heads, filled anew for each: libnghttp2 copies what it is given."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport malloc, realloc
from libc.string cimport memcpy
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, FIELD_SENSITIVE, H_CONNECTION, H_CONTENT_LENGTH, H_HOST, H_HTTP2_SETTINGS, H_KEEP_ALIVE,
    H_PROXY_CONNECTION, H_TE, H_TRANSFER_ENCODING, H_UPGRADE, HTTP_2, Field, equals_lower,
)
from linkerd2_py._ext.http2.nghttp2 cimport (
    NGHTTP2_NV_FLAG_NO_COPY_NAME, NGHTTP2_NV_FLAG_NO_INDEX, NGHTTP2_NV_FLAG_NONE,
)

cdef nghttp2_nv* shared = NULL
cdef int shared_room = 0
# The status, then the content length.
cdef char digits[64]


cdef nghttp2_nv* shared_fields() noexcept:
    return shared


cdef int make_room(int count) except -1:
    global shared, shared_room
    cdef nghttp2_nv* more
    if count <= shared_room:
        return 0
    more = <nghttp2_nv*> realloc(shared, count * sizeof(nghttp2_nv))
    if more == NULL:
        raise MemoryError
    shared = more
    shared_room = count
    return 0


cdef inline void put_literal(int at, const char* name, size_t name_len, const char* value,
        size_t value_len) noexcept:
    shared[at].name = <uint8_t*> name
    shared[at].namelen = name_len
    shared[at].value = <uint8_t*> value
    shared[at].valuelen = value_len
    shared[at].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME


cdef int request_fields(Head head) except -1:
    cdef int at = 3
    make_room(head.count + 5)
    put_literal(0, ":method", 7, head.method.ptr, head.method.len)
    if head.scheme.len:
        put_literal(1, ":scheme", 7, head.scheme.ptr, head.scheme.len)
    else:
        put_literal(1, ":scheme", 7, "http", 4)
    if head.path.len:
        put_literal(2, ":path", 5, head.path.ptr, head.path.len)
    else:
        put_literal(2, ":path", 5, "/", 1)
    if head.authority.len:
        put_literal(3, ":authority", 10, head.authority.ptr, head.authority.len)
        at = 4
        if head.version != HTTP_2:
            # Carried for two that speak HTTP/1: Linkerd's proxy gives the program the Host that it gets.
            put_literal(4, "host", 4, head.authority.ptr, head.authority.len)
            at = 5
    return put_regular(head, at)


cdef int response_fields(Head head) except -1:
    make_room(head.count + 1)
    # libnghttp2 copies the value before the next head is written into `digits`.
    put_literal(0, ":status", 7, digits, put_number(digits, head.status))
    return put_regular(head, 1)


cdef int trailer_fields(Head head) except -1:
    make_room(head.count + 1)
    return put_regular(head, 0)


cdef int put_regular(Head head, int at) except -1:
    cdef int i
    cdef Field* field
    cdef bint length_written = False
    for i in range(head.count):
        field = &head.fields[i]
        if field.flags & FIELD_DROPPED:
            continue
        if field.id in (
            H_CONNECTION, H_KEEP_ALIVE, H_PROXY_CONNECTION, H_TRANSFER_ENCODING, H_UPGRADE,
            H_HTTP2_SETTINGS, H_HOST,
        ):
            continue
        if field.id == H_TE:
            if names_trailers(field.value, field.value_len):
                put_literal(at, "te", 2, "trailers", 8)
                at += 1
            continue
        if field.id == H_CONTENT_LENGTH:
            if length_written:
                continue
            length_written = True
        put_field(at, field)
        if field.id == H_CONTENT_LENGTH and head.content_length >= 0:
            shared[at].value = <uint8_t*> digits + 16
            shared[at].valuelen = put_number(digits + 16, head.content_length)
        at += 1
    return at


cdef size_t put_number(char* to, int64_t number) noexcept nogil:
    """Decimal digits of a number that is not negative, at `to`: how many."""
    cdef char text[20]
    cdef int left = 20
    while True:
        left -= 1
        text[left] = <char> (48 + number % 10)
        number //= 10
        if number == 0:
            break
    memcpy(to, text + left, 20 - left)
    return 20 - left


cdef inline void put_field(int at, Field* field) noexcept:
    shared[at].name = <uint8_t*> field.name
    shared[at].namelen = field.name_len
    shared[at].value = <uint8_t*> field.value
    shared[at].valuelen = field.value_len
    shared[at].flags = NGHTTP2_NV_FLAG_NO_INDEX if field.flags & FIELD_SENSITIVE else NGHTTP2_NV_FLAG_NONE


cdef bint names_trailers(const char* value, size_t length) noexcept nogil:
    """Whether the bare token `trailers` is there: all that TE may say in HTTP/2 (RFC 9113 section 8.2.2)."""
    cdef size_t start = 0, end, stop
    while start < length:
        end = start
        while end < length and value[end] != c",":
            end += 1
        stop = end
        while start < stop and value[start] in (c" ", c"\t"):
            start += 1
        while stop > start and value[stop - 1] in (c" ", c"\t"):
            stop -= 1
        if equals_lower(value + start, stop - start, "trailers", 8):
            return True
        start = end + 1
    return False


cdef nghttp2_nv* pack_fields(int count) except NULL:
    cdef size_t total = count * sizeof(nghttp2_nv)
    cdef nghttp2_nv* packed
    cdef uint8_t* place
    cdef int i
    for i in range(count):
        total += shared[i].namelen + shared[i].valuelen
    packed = <nghttp2_nv*> malloc(total + 1)
    if packed == NULL:
        raise MemoryError
    place = <uint8_t*> (packed + count)
    for i in range(count):
        packed[i] = shared[i]
        packed[i].flags = shared[i].flags & NGHTTP2_NV_FLAG_NO_INDEX
        packed[i].name = place
        memcpy(place, shared[i].name, shared[i].namelen)
        place += shared[i].namelen
        packed[i].value = place
        memcpy(place, shared[i].value, shared[i].valuelen)
        place += shared[i].valuelen
    return packed
