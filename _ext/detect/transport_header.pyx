# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The transport header, bytes in and bytes out: a preface, a length, and a protobuf message of three
fields."""

from libc.stdint cimport UINT32_MAX, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from linkerd2_py._ext.core.dns_name cimport is_dns_name

cdef const char* PREFACE = b"transport.l5d.io/v1\r\n\r\n"

cdef enum:
    PREFACE_LEN = 23           # of PREFACE
    BEGIN = 27                 # of the message: after the preface and four bytes of length
    PORT_MAX = 65535           # TCP's

# Protobuf, https://protobuf.dev/programming-guides/encoding.
cdef enum:
    VARINT = 0
    I64 = 1
    LEN = 2
    I32 = 5
    SHORT = 5                  # bytes that a varint of 32 bits takes at most: keys and lengths are such
    LONG = 10                  # the same of 64 bits: values

cdef enum:                     # numbers of fields
    PORT = 1
    NAME = 2
    SESSION_PROTOCOL = 3
    HTTP1 = 1                  # within SessionProtocol
    HTTP2 = 2

cdef struct Field:
    uint64_t number
    uint64_t wire_type
    uint64_t value             # of a VARINT
    Span content               # of a LEN, borrowed


cdef HeaderState read_transport_header(const char* p, size_t n, TransportHeader* header) noexcept nogil:
    cdef size_t length
    if memcmp(p, PREFACE, min(n, <size_t> PREFACE_LEN)) != 0:
        return HEADER_BROKEN
    if n < BEGIN:
        return HEADER_MORE
    length = big_endian(<const unsigned char*> p + PREFACE_LEN)
    if length > TRANSPORT_HEADER_MAX - BEGIN:
        return HEADER_BROKEN
    if n - BEGIN < length:
        return HEADER_MORE
    memset(header, 0, sizeof(TransportHeader))
    header.size = BEGIN + length
    return HEADER_OK if read_header(p + BEGIN, p + header.size, header) else HEADER_BROKEN


cdef bint read_header(const char* p, const char* end, TransportHeader* header) noexcept nogil:
    cdef Field field
    cdef uint64_t port = 0
    while p < end:
        p = read_field(p, end, &field)
        if p == NULL:
            return False
        if field.number == PORT:
            if field.wire_type != VARINT:
                return False
            port = field.value
        elif field.number == NAME:
            if field.wire_type != LEN or not is_name_or_empty(field.content.ptr, field.content.len):
                return False
            header.name = field.content
        elif field.number == SESSION_PROTOCOL:
            if field.wire_type != LEN or not read_session_protocol(field.content, &header.protocol):
                return False
    header.port = <int> port
    return 1 <= port <= PORT_MAX


cdef bint read_session_protocol(Span message, SessionProtocol* protocol) noexcept nogil:
    """Leaves the protocol as it was where none is named: repeated messages merge."""
    cdef const char* p = message.ptr
    cdef const char* end = message.ptr + message.len
    cdef Field field
    while p < end:
        p = read_field(p, end, &field)
        if p == NULL:
            return False
        if field.number == HTTP1 or field.number == HTTP2:
            if field.wire_type != LEN or not is_message(field.content):
                return False
            protocol[0] = SESSION_HTTP1 if field.number == HTTP1 else SESSION_HTTP2
    return True


cdef bint is_message(Span message) noexcept nogil:
    """Whether it is some message; those of the protocols have no fields of their own."""
    cdef const char* p = message.ptr
    cdef const char* end = message.ptr + message.len
    cdef Field field
    while p != NULL and p < end:
        p = read_field(p, end, &field)
    return p != NULL


cdef bint is_name_or_empty(const char* p, size_t n) noexcept nogil:
    return n == 0 or is_dns_name(p, n - 1 if p[n - 1] == c"." else n)


cdef const char* read_field(const char* p, const char* end, Field* field) noexcept nogil:
    """Behind the field; NULL for what is none, or not whole, and for groups, which proto3 never had."""
    cdef uint64_t key, length = 0
    p = read_varint(p, end, SHORT, &key)
    if p == NULL or key > UINT32_MAX:
        return NULL
    field.number = key >> 3
    field.wire_type = key & 7
    if field.number == 0:
        return NULL
    if field.wire_type == VARINT:
        return read_varint(p, end, LONG, &field.value)
    if field.wire_type == LEN:
        p = read_varint(p, end, SHORT, &length)
    elif field.wire_type == I64:
        length = 8
    elif field.wire_type == I32:
        length = 4
    else:
        return NULL
    if p == NULL or length > <uint64_t> (end - p):
        return NULL
    field.content.ptr = p
    field.content.len = length
    return p + length


cdef const char* read_varint(const char* p, const char* end, int most, uint64_t* value) noexcept nogil:
    """Behind it; NULL when it does not end within `most` bytes or before `end`, or has more than 64 bits."""
    cdef unsigned char c
    cdef int i
    value[0] = 0
    for i in range(most):
        if p == end:
            return NULL
        c = <unsigned char> p[0]
        p += 1
        if i == LONG - 1 and c > 1:
            return NULL
        value[0] |= <uint64_t> (c & 0x7F) << (7 * i)
        if c < 0x80:
            return p
    return NULL


cdef uint32_t big_endian(const unsigned char* p) noexcept nogil:
    return <uint32_t> p[0] << 24 | <uint32_t> p[1] << 16 | <uint32_t> p[2] << 8 | p[3]


# ---- writing: canonical proto3, that is in order of the numbers and without what has its default value


cdef size_t write_transport_header(
    char* dst, size_t room, int port, const char* name, size_t name_len, SessionProtocol protocol
) noexcept nogil:
    cdef size_t length
    cdef char* at
    if not 1 <= port <= PORT_MAX or not is_name_or_empty(name, name_len):
        return 0
    length = 1 + varint_size(port)
    if name_len:
        length += 1 + varint_size(<uint32_t> name_len) + name_len
    if protocol != SESSION_OPAQUE:
        length += 4
    if BEGIN + length > room:
        return 0
    memcpy(dst, PREFACE, PREFACE_LEN)
    at = put_big_endian(dst + PREFACE_LEN, <uint32_t> length)
    at = put_varint(put_key(at, PORT, VARINT), port)
    if name_len:
        at = put_varint(put_key(at, NAME, LEN), <uint32_t> name_len)
        memcpy(at, name, name_len)
        at += name_len
    if protocol != SESSION_OPAQUE:
        at = put_varint(put_key(at, SESSION_PROTOCOL, LEN), 2)
        put_varint(put_key(at, HTTP1 if protocol == SESSION_HTTP1 else HTTP2, LEN), 0)
    return BEGIN + length


cdef char* put_big_endian(char* at, uint32_t value) noexcept nogil:
    cdef int i
    for i in range(4):
        at[i] = <char> (value >> (24 - 8 * i))
    return at + 4


cdef char* put_key(char* at, int number, int wire_type) noexcept nogil:
    at[0] = <char> (number << 3 | wire_type)
    return at + 1


cdef char* put_varint(char* at, uint32_t value) noexcept nogil:
    while value >= 0x80:
        at[0] = <char> (value | 0x80)
        value >>= 7
        at += 1
    at[0] = <char> value
    return at + 1


cdef size_t varint_size(uint32_t value) noexcept nogil:
    cdef size_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size
