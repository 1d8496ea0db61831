# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Field lines into spans, then one rule per function; each refuses what two readers could read in two
ways."""

from libc.string cimport memchr, memset

from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED,
    FIELD_SENSITIVE,
    FORM_ASTERISK,
    FORM_ORIGIN,
    H_CONNECTION,
    H_CONTENT_LENGTH,
    H_EXPECT,
    H_HOST,
    H_HTTP2_SETTINGS,
    H_KEEP_ALIVE,
    H_OTHER,
    H_PROXY_CONNECTION,
    H_TE,
    H_TRANSFER_ENCODING,
    H_UPGRADE,
    HTTP_10,
    HTTP_11,
    L5D_FIELDS,
    METHOD_CONNECT,
    METHOD_HEAD,
    equals_lower,
    field_id,
    parse_length,
)
from linkerd2_py._ext.exchange.sound cimport is_authority
from linkerd2_py._ext.http1.faults cimport (
    BAD_CODING,
    BAD_CONNECT,
    BAD_CONNECTION,
    BAD_HOST,
    BAD_LENGTH,
    BAD_NAME,
    CODING_IN_10,
    EMPTY_NAME,
    HEAD_TOO_LARGE,
    LENGTH_AND_CODING,
    MISSING_HOST,
    NO_COLON,
    OBS_FOLD,
    REPEATED_HOST,
    REPEATED_LENGTH,
    SPACE_BEFORE_COLON,
    TOO_MANY_FIELDS,
    UNKNOWN_CODING,
)
from linkerd2_py._ext.core.scan cimport TOKEN, end_of_run, skip_class

cdef enum:
    PROTECTED = 1 << H_HOST | 1 << H_CONTENT_LENGTH | 1 << H_TRANSFER_ENCODING | 1 << H_TE | L5D_FIELDS
    MAX_OPTIONS = 32       # connection options of one head: they are compared with every field


cdef int parse_fields(const char* p, const char* end, Head head, Seen* seen, int max_fields) noexcept:
    cdef const char* colon
    cdef const char* value
    cdef const char* stop
    cdef const char* line_end
    cdef int id
    memset(seen, 0, sizeof(Seen))
    while p[0] != c"\r":
        # A complete head ends with CR LF, which ends every run.
        colon = end_of_run(p, TOKEN)
        if colon[0] != c":" or colon == p:
            return -name_fault(p, colon)
        value = colon + 1
        line_end = <const char*> memchr(value, c"\r", end - value)
        stop = line_end
        while value < stop and (value[0] == c" " or value[0] == c"\t"):
            value += 1
        while stop > value and ((stop - 1)[0] == c" " or (stop - 1)[0] == c"\t"):
            stop -= 1
        if head.count >= max_fields:
            return -TOO_MANY_FIELDS
        if head.count == head.room and not make_room(head):
            return -HEAD_TOO_LARGE
        id = field_id(p, colon - p)
        keep(head, p, colon - p, value, stop - value, id)
        if id != H_OTHER:
            note(seen, id)
        p = line_end + 2
    return 0


cdef int field_fault(const char* p) noexcept:
    cdef const char* colon = end_of_run(p, TOKEN)
    return -name_fault(p, colon) if colon[0] != c":" or colon == p else 0


cdef bint make_room(Head head) noexcept:
    try:
        head.grow()
    except MemoryError:
        return False
    return True


cdef inline void keep(
    Head head, const char* name, size_t name_len, const char* value, size_t value_len, int id,
) noexcept:
    head.append(name, name_len, value, value_len, id, FIELD_SENSITIVE if is_credential(name, name_len) else 0)


cdef inline bint is_credential(const char* name, size_t length) noexcept:
    if length == 6:
        # | 32: to lower case.
        return name[0] | 32 == c"c" and equals_lower(name, length, "cookie", 6)
    return length == 13 and equals_lower(name, length, "authorization", 13)


cdef inline void note(Seen* seen, int id) noexcept:
    if id == H_HOST:
        seen.hosts += 1
    elif id == H_CONTENT_LENGTH:
        seen.lengths += 1
    elif id == H_TRANSFER_ENCODING:
        seen.codings += 1
    elif id == H_CONNECTION:
        seen.connections += 1
    elif id == H_UPGRADE:
        seen.upgrades += 1
    elif id == H_TE:
        seen.tes += 1
    elif id == H_EXPECT:
        seen.expects += 1
    elif id == H_KEEP_ALIVE or id == H_PROXY_CONNECTION or id == H_HTTP2_SETTINGS:
        seen.hop_by_hop += 1


cdef int name_fault(const char* line, const char* stop) noexcept:
    cdef char c = stop[0]
    if line == stop:
        if c == c":":
            return EMPTY_NAME
        return OBS_FOLD if c == c" " or c == c"\t" else BAD_NAME
    if c == c"\r":
        return NO_COLON
    while stop[0] == c" " or stop[0] == c"\t":
        stop += 1
    return SPACE_BEFORE_COLON if stop[0] == c":" else BAD_NAME


# ---- requests


cdef int settle_request(Head head, Seen* seen) noexcept:
    cdef int fault = settle_host(head, seen)
    if fault == 0:
        fault = settle_framing(head, seen)
    if fault == 0 and head.method_id == METHOD_CONNECT and (head.chunked or head.content_length > 0):
        fault = -BAD_CONNECT
    if fault < 0:
        return fault
    head.end = not head.chunked and head.content_length <= 0
    head.wants_close = head.version == HTTP_10
    fault = settle_connection(head, seen, request=True)
    if fault < 0:
        return fault
    if seen.tes:
        settle_te(head)
    if seen.expects and head.version == HTTP_11:
        settle_expect(head)
    return 0


# Exactly one valid Host in 1.1, at most one in 1.0 (RFC 9112 3.2). The target's own authority wins; the field
# stays as sent, and is written anew (3.2.2).
cdef int settle_host(Head head, Seen* seen) noexcept:
    cdef Field* host
    if seen.hosts == 0:
        return -MISSING_HOST if head.version == HTTP_11 else 0
    if seen.hosts > 1:
        return -REPEATED_HOST
    host = head.find(H_HOST)
    # An empty value says that the target has no authority: valid, and then the original destination decides.
    if host.value_len and not is_authority(host.value, host.value + host.value_len, False):
        return -BAD_HOST
    if head.form == FORM_ORIGIN or head.form == FORM_ASTERISK:
        head.authority.ptr = host.value
        head.authority.len = host.value_len
    return 0


# A body after which the protocol switches has two possible ends, and h2c would hide exchanges in a tunnel:
# neither is offered.
cdef bint valid_upgrade(Head head) noexcept:
    if not head.end or head.version != HTTP_11 or head.method_id == METHOD_CONNECT:
        return False
    cdef int i
    cdef bint any_protocol = False
    for i in range(head.count):
        if head.fields[i].id == H_UPGRADE:
            if not real_protocols(&head.fields[i]):
                return False
            any_protocol = True
    return any_protocol


cdef bint real_protocols(Field* field) noexcept:
    cdef const char* p = field.value
    cdef const char* end = field.value + field.value_len
    cdef const char* stop
    cdef bint any_protocol = False
    while p < end:
        stop = <const char*> memchr(p, c",", end - p)
        if stop == NULL:
            stop = end
        if p < stop:
            trimmed = trim(p, stop)
            if trimmed.len == 0 or equals_lower(trimmed.ptr, trimmed.len, "h2c", 3):
                return False
            any_protocol = True
        p = stop + 1
    return any_protocol


cdef void settle_expect(Head head) noexcept:
    cdef Field* field = head.find(H_EXPECT)
    if field != NULL:
        head.expect_continue = equals_lower(field.value, field.value_len, "100-continue", 12)


# TE is per connection; what is left for the next hop is `trailers`, the only value HTTP/2 allows.
cdef void settle_te(Head head) noexcept:
    cdef int i
    cdef bint trailers = False
    cdef Field* field
    for i in range(head.count):
        field = &head.fields[i]
        if field.id != H_TE or field.flags & FIELD_DROPPED:
            continue
        if trailers or not lists_trailers(field):
            field.flags |= FIELD_DROPPED
            continue
        field.value = "trailers"
        field.value_len = 8
        trailers = True


cdef bint lists_trailers(Field* field) noexcept:
    cdef const char* p = field.value
    cdef const char* end = field.value + field.value_len
    cdef const char* stop
    while p < end:
        stop = <const char*> memchr(p, c",", end - p)
        if stop == NULL:
            stop = end
        element = trim(p, stop)
        if equals_lower(element.ptr, element.len, "trailers", 8):
            return True
        p = stop + 1
    return False


# ---- responses


cdef int settle_response(Head head, Seen* seen, int request_method) noexcept:
    cdef int fault = settle_framing(head, seen)
    if fault < 0:
        return fault
    head.wants_close = head.version == HTTP_10
    fault = settle_connection(head, seen, request=False)
    if fault < 0:
        return fault
    settle_body(head, request_method)
    if head.close_delimited:
        head.wants_close = True
    return 0


# RFC 9112 6.3, in its order.
cdef void settle_body(Head head, int request_method) noexcept:
    cdef int status = head.status
    cdef bint tunnel = request_method == METHOD_CONNECT and 200 <= status < 300
    if tunnel or status < 200 or status == 204:
        head.drop(H_CONTENT_LENGTH)
        head.content_length = -1
        head.chunked = False
        head.end = True
        return
    if request_method == METHOD_HEAD or status == 304:
        head.chunked = False
        head.end = True
        return
    head.end = head.content_length == 0
    head.close_delimited = not head.chunked and head.content_length < 0


# ---- both


cdef int settle_framing(Head head, Seen* seen) noexcept:
    cdef Field* field
    cdef int fault
    if seen.lengths > 1:
        return -REPEATED_LENGTH
    if seen.codings:
        if seen.lengths:
            return -LENGTH_AND_CODING
        if head.version == HTTP_10:
            return -CODING_IN_10
        if seen.codings > 1:
            return -BAD_CODING
        field = head.find(H_TRANSFER_ENCODING)
        fault = coding_fault(field)
        field.flags |= FIELD_DROPPED
        head.chunked = fault == 0
        return -fault
    if seen.lengths:
        field = head.find(H_CONTENT_LENGTH)
        head.content_length = parse_length(field.value, field.value_len)
        if head.content_length < 0:
            return -BAD_LENGTH
    return 0


# `chunked` alone is understood. Well-formed codings before it are merely unsupported; anything else has no
# certain end.
cdef int coding_fault(Field* field) noexcept:
    cdef const char* p = field.value
    cdef const char* end = field.value + field.value_len
    cdef const char* stop
    if equals_lower(p, field.value_len, "chunked", 7):
        return 0
    if p == end:
        return BAD_CODING
    while True:
        stop = skip_class(p, end, TOKEN)
        if stop == p or equals_lower(p, stop - p, "chunked", 7) and stop != end:
            return BAD_CODING
        if stop == end:
            return UNKNOWN_CODING
        while stop < end and stop[0] == c" ":
            stop += 1
        if stop == end or stop[0] != c",":
            return BAD_CODING
        p = stop + 1
        while p < end and p[0] == c" ":
            p += 1


# What the Connection field says, and what is hop-by-hop whether named there or not (RFC 9110 7.6.1).
cdef int settle_connection(Head head, Seen* seen, bint request) noexcept:
    cdef bint wants_upgrade = False
    cdef int fault
    if seen.connections:
        fault = read_connection(head, &wants_upgrade)
        if fault:
            return -fault
        head.drop(H_CONNECTION)
    if seen.hop_by_hop:
        head.drop(H_KEEP_ALIVE)
        head.drop(H_PROXY_CONNECTION)
        head.drop(H_HTTP2_SETTINGS)
    if request:
        head.upgrade = wants_upgrade and seen.upgrades > 0 and valid_upgrade(head)
    else:
        head.upgrade = head.status == 101 and head.version == HTTP_11
    # 426 tells the client what to upgrade to: it is meant for the client (RFC 9110 15.5.22).
    if seen.upgrades and not head.upgrade and (request or head.status != 426):
        head.drop(H_UPGRADE)
    return 0


cdef int read_connection(Head head, bint* wants_upgrade) noexcept:
    cdef int i, left = MAX_OPTIONS
    cdef bint close = False, keep_alive = False
    cdef const char* p
    cdef const char* end
    cdef const char* stop
    for i in range(head.count):
        if head.fields[i].id != H_CONNECTION:
            continue
        p = head.fields[i].value
        end = p + head.fields[i].value_len
        while p < end:
            stop = <const char*> memchr(p, c",", end - p)
            if stop == NULL:
                stop = end
            option = trim(p, stop)
            p = stop + 1
            if option.len == 0:
                continue
            left -= 1
            if left < 0 or skip_class(option.ptr, option.ptr + option.len, TOKEN) != option.ptr + option.len:
                return BAD_CONNECTION
            if equals_lower(option.ptr, option.len, "close", 5):
                close = True
            elif equals_lower(option.ptr, option.len, "keep-alive", 10):
                keep_alive = True
            elif equals_lower(option.ptr, option.len, "upgrade", 7):
                wants_upgrade[0] = True
            else:
                drop_named(head, option)
    head.wants_close = close or (head.wants_close and not keep_alive)
    return 0


# Connection options never take away what frames, routes or is ours: a client would remove it from under the
# next hop.
cdef void drop_named(Head head, Span name) noexcept:
    cdef int i
    cdef Field* field
    for i in range(head.count):
        field = &head.fields[i]
        if field.name_len != name.len or is_protected(field.id):
            continue
        if same_name(field.name, name.ptr, name.len):
            field.flags |= FIELD_DROPPED


cdef bint same_name(const char* left, const char* right, size_t length) noexcept:
    cdef size_t i
    for i in range(length):
        if lower(left[i]) != lower(right[i]):
            return False
    return True


cdef inline unsigned char lower(char c) noexcept:
    return <unsigned char> c | 32 if c"A" <= c <= c"Z" else <unsigned char> c


cdef inline bint is_protected(int id) noexcept:
    # TE has its own rule: naming it in Connection is how it is sent.
    return (PROTECTED >> id & 1) != 0


cdef Span trim(const char* p, const char* end) noexcept:
    cdef Span span
    while p < end and (p[0] == c" " or p[0] == c"\t"):
        p += 1
    while end > p and ((end - 1)[0] == c" " or (end - 1)[0] == c"\t"):
        end -= 1
    span.ptr = p
    span.len = end - p
    return span


# ---- trailers


cdef bint has_fields(Head trailers) noexcept:
    cdef int i
    for i in range(trailers.count):
        if not trailers.fields[i].flags & FIELD_DROPPED:
            return True
    return False
