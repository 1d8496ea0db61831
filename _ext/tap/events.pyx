# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Events are written straight from spans and labels: nothing of Python is made. Bounded: an event has at most
so much of a text, and so much of all fields."""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcmp

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, FIELD_SENSITIVE, HTTP_2, L5D_FIELDS, METHOD_CONNECT, METHOD_DELETE,
    METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_OTHER, METHOD_PATCH, METHOD_POST, METHOD_PUT,
    METHOD_TRACE, Field, Method, equals_lower,
)
from linkerd2_py._ext.io.address cimport Address

cdef enum:
    TEXT_MOST = 8192           # bytes of a path or an authority that are told
    FIELDS_MOST = 16384        # of all fields of a head
    VALUE_MOST = 4096          # of one value
    NS = 1000000000
    INBOUND = 1
    OUTBOUND = 2
    # The fields of TapEvent, and of what is in it.
    SOURCE = 1
    DESTINATION = 2
    HTTP = 3
    DESTINATION_META = 4
    SOURCE_META = 5
    DIRECTION = 6
    ROUTE_META = 7
    REQUEST_INIT = 1
    RESPONSE_INIT = 2
    RESPONSE_END = 3
    IPV4_AT = 4
    IPV6_AT = 8
    IPV4_LEN = 16

cdef const char* SECRET = "[redacted]"


# ---- whose value is not told


cdef bint has_word(const char* name, size_t length, const char* word) noexcept nogil:
    cdef size_t at, size = 0
    while word[size]:
        size += 1
    if size > length:
        return False
    for at in range(length - size + 1):
        if equals_lower(name + at, size, word, size):
            return True
    return False


cdef bint is_secret(const char* name, size_t length) noexcept nogil:
    """Where one of these words stands in its name."""
    return (
        has_word(name, length, "auth") or has_word(name, length, "cookie") or has_word(name, length, "token")
        or has_word(name, length, "secret") or has_word(name, length, "passw")
        or has_word(name, length, "api-key") or has_word(name, length, "apikey")
        or has_word(name, length, "credential") or has_word(name, length, "session")
    )


# ---- the ends


cdef int put_address(Wire wire, int field, Address address) noexcept:
    cdef const unsigned char* raw
    cdef size_t whole, ip, v6
    if address is None:
        return 0
    raw = address.raw
    whole = wire.begin(field)
    ip = wire.begin(1)
    if address.raw_len == IPV4_LEN:
        wire.fixed32(
            1,
            <uint32_t> raw[IPV4_AT] << 24 | <uint32_t> raw[IPV4_AT + 1] << 16
            | <uint32_t> raw[IPV4_AT + 2] << 8 | <uint32_t> raw[IPV4_AT + 3],
        )
    else:
        v6 = wire.begin(2)
        wire.fixed64(1, raw + IPV6_AT)
        wire.fixed64(2, raw + IPV6_AT + 8)
        wire.end(v6)
    wire.end(ip)
    wire.number(2, address.port)
    return wire.end(whole)


cdef int put_str(Wire wire, int field, str text) except -1:
    cdef Py_ssize_t length
    cdef const char* p = PyUnicode_AsUTF8AndSize(text, &length)
    return wire.text(field, p, length)


cdef int put_label(Wire wire, str name, str value) except -1:
    cdef size_t entry = wire.begin(1)
    put_str(wire, 1, name)
    put_str(wire, 2, value)
    return wire.end(entry)


cdef int put_labels(Wire wire, tuple labels) except -1:
    cdef tuple pair
    if labels is not None:
        for pair in labels:
            put_label(wire, <str> pair[0], <str> pair[1])
    return 0


cdef int put_tls(Wire wire, tuple labels) except -1:
    """Tap has one word for what metrics say in two: `tls` is true, or why it is not."""
    cdef tuple pair
    cdef str name, value, tls = "", why = ""
    if labels is None:
        return 0
    for pair in labels:
        name, value = pair
        if name == "tls":
            tls = value
        elif name == "no_tls_reason":
            why = value
        else:
            put_label(wire, name, value)
    return put_label(wire, "tls", why or tls)


cdef int put_ends(
    Wire wire, Facts facts, tuple source_tls, tuple destination_tls, bint outbound
) except -1:
    cdef size_t meta
    put_address(wire, SOURCE, facts.source)
    put_address(wire, DESTINATION, facts.destination)
    meta = wire.begin(DESTINATION_META)
    put_labels(wire, facts.set_labels)
    put_labels(wire, facts.own_labels)
    put_tls(wire, destination_tls)
    wire.end(meta)
    meta = wire.begin(SOURCE_META)
    put_tls(wire, source_tls)
    wire.end(meta)
    wire.number(DIRECTION, OUTBOUND if outbound else INBOUND)
    if facts.route_labels is not None:
        meta = wire.begin(ROUTE_META)
        put_labels(wire, facts.route_labels)
        wire.end(meta)
    return 0


# ---- the events


cdef int registered(Method method) noexcept nogil:
    """Its number in http_types.HttpMethod; -1: it has none."""
    if method == METHOD_GET:
        return 0
    if method == METHOD_POST:
        return 1
    if method == METHOD_PUT:
        return 2
    if method == METHOD_DELETE:
        return 3
    if method == METHOD_PATCH:
        return 4
    if method == METHOD_OPTIONS:
        return 5
    if method == METHOD_CONNECT:
        return 6
    if method == METHOD_HEAD:
        return 7
    return 8 if method == METHOD_TRACE else -1


cdef int put_id(Wire wire, EventId id) noexcept:
    cdef size_t at = wire.begin(1)
    wire.number(1, id.base)
    wire.number(2, id.stream)
    return wire.end(at)


cdef int put_duration(Wire wire, int field, int64_t ns) noexcept:
    cdef size_t at = wire.begin(field)
    ns = max(ns, <int64_t> 0)
    wire.number(1, ns // NS)
    wire.number(2, ns % NS)
    return wire.end(at)


cdef int put_span(Wire wire, int field, Span span) noexcept:
    return wire.printable(field, span.ptr, min(span.len, <size_t> TEXT_MOST))


cdef Span path_of(Head head) noexcept:
    """Without the query, where secrets stand."""
    cdef Span path = head.path
    cdef size_t i
    for i in range(path.len):
        if path.ptr[i] == c"?":
            path.len = i
            break
    return path


cdef int put_method(Wire wire, Head head) noexcept:
    cdef size_t at = wire.begin(2)
    cdef int number = registered(head.method_id)
    if number >= 0:
        wire.number(1, number)
    else:
        put_span(wire, 2, head.method)
    return wire.end(at)


cdef int put_scheme(Wire wire, Span scheme) noexcept:
    cdef size_t at = wire.begin(3)
    if scheme.len == 0 or scheme.len == 4 and memcmp(scheme.ptr, "http", 4) == 0:
        wire.number(1, 0)
    elif scheme.len == 5 and memcmp(scheme.ptr, "https", 5) == 0:
        wire.number(1, 1)
    else:
        put_span(wire, 2, scheme)
    return wire.end(at)


cdef int put_field(
    Wire wire, const char* name, size_t name_len, const char* value, size_t value_len
) noexcept:
    cdef size_t at = wire.begin(1)
    wire.printable(1, name, name_len)
    wire.text(2, value, min(value_len, <size_t> VALUE_MOST))
    return wire.end(at)


cdef int put_fields(Wire wire, Head head) noexcept:
    cdef int i
    cdef size_t length, told = 0
    cdef Field* field
    for i in range(head.count):
        field = &head.fields[i]
        # What proxies tell each other is nobody else's.
        if field.flags & FIELD_DROPPED or L5D_FIELDS >> field.id & 1:
            continue
        length = field.name_len + min(<size_t> field.value_len, <size_t> VALUE_MOST)
        if told + length > FIELDS_MOST:
            break
        told += length
        if field.flags & FIELD_SENSITIVE or is_secret(field.name, field.name_len):
            put_field(wire, field.name, field.name_len, SECRET, 10)
        else:
            put_field(wire, field.name, field.name_len, field.value, field.value_len)
    return 0


cdef int put_pseudo(Wire wire, const char* name, size_t length, Span value) noexcept:
    return put_field(wire, name, length, value.ptr, value.len)


cdef int put_request(Wire wire, EventId id, Head head, bint fields) noexcept:
    cdef size_t http = wire.begin(HTTP)
    cdef size_t event = wire.begin(REQUEST_INIT)
    cdef size_t at
    put_id(wire, id)
    put_method(wire, head)
    put_scheme(wire, head.scheme)
    put_span(wire, 4, head.authority)
    put_span(wire, 5, path_of(head))
    if fields:
        at = wire.begin(6)
        if head.version == HTTP_2:
            put_pseudo(wire, ":method", 7, head.method)
            put_pseudo(wire, ":scheme", 7, head.scheme)
            put_pseudo(wire, ":authority", 10, head.authority)
            put_pseudo(wire, ":path", 5, path_of(head))
        put_fields(wire, head)
        wire.end(at)
    wire.end(event)
    return wire.end(http)


cdef int put_response(
    Wire wire, EventId id, int64_t since_request_ns, uint32_t status, Head head, bint fields
) noexcept:
    cdef size_t http = wire.begin(HTTP)
    cdef size_t event = wire.begin(RESPONSE_INIT)
    cdef size_t at
    put_id(wire, id)
    put_duration(wire, 2, since_request_ns)
    wire.number(3, status)
    if fields and head is not None:
        at = wire.begin(4)
        put_fields(wire, head)
        wire.end(at)
    wire.end(event)
    return wire.end(http)


cdef int put_end(Wire wire, EventId id, Ending ending, Wire trailers) noexcept:
    cdef size_t http = wire.begin(HTTP)
    cdef size_t event = wire.begin(RESPONSE_END)
    cdef size_t at
    put_id(wire, id)
    put_duration(wire, 2, ending.since_request_ns)
    if ending.since_response_ns >= 0:
        put_duration(wire, 3, ending.since_response_ns)
    wire.number(4, ending.response_bytes)
    at = wire.begin(5)
    if ending.kind == EVENT_ENDED_IN_GRPC:
        wire.number(1, ending.code)
    elif ending.kind == EVENT_RESET:
        wire.number(2, ending.code)
    wire.end(at)
    if trailers is not None:
        wire.text(6, trailers.start, trailers.size)
    wire.end(event)
    return wire.end(http)
