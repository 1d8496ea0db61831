# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The `l5d-orig-proto` header (linkerd2-proxy's orig_proto): value `HTTP/1.1` or `HTTP/1.0`, then
optionally `; absolute-form`."""

from libc.string cimport memcmp, memcpy

from linkerd2_py._ext.exchange.head cimport (
    FIELD_LOWER, FORM_ABSOLUTE, FORM_ORIGIN, H_HOST, H_L5D_ORIG_PROTO, HTTP_10, HTTP_11, Field, Head,
    Version,
)

cdef const char* NAME = "l5d-orig-proto"
cdef enum:
    NAME_LEN = 14


cdef int mark_request(Head head) except -1:
    cdef int index = head.count
    cdef bint absolute = head.form == FORM_ABSOLUTE
    if head.version == HTTP_10:
        if absolute:
            head.add(NAME, NAME_LEN, "HTTP/1.0; absolute-form", 23, H_L5D_ORIG_PROTO, FIELD_LOWER)
        else:
            head.add(NAME, NAME_LEN, "HTTP/1.0", 8, H_L5D_ORIG_PROTO, FIELD_LOWER)
    elif absolute:
        head.add(NAME, NAME_LEN, "HTTP/1.1; absolute-form", 23, H_L5D_ORIG_PROTO, FIELD_LOWER)
    else:
        head.add(NAME, NAME_LEN, "HTTP/1.1", 8, H_L5D_ORIG_PROTO, FIELD_LOWER)
    return index


cdef int parse(const Field* field, Version* version, bint* absolute) noexcept:
    """1 when the value is one that Linkerd writes."""
    if field.value_len < 8 or memcmp(field.value, "HTTP/1.", 7) != 0:
        return 0
    if field.value[7] == c"1":
        version[0] = HTTP_11
    elif field.value[7] == c"0":
        version[0] = HTTP_10
    else:
        return 0
    absolute[0] = field.value_len == 23 and memcmp(field.value + 8, "; absolute-form", 15) == 0
    return absolute[0] or field.value_len == 8


cdef int strip(Head head) noexcept:
    return head.drop(H_L5D_ORIG_PROTO)


cdef int restore_absolute(Head head) except -1:
    """Rebuilds the absolute-form target, which HTTP/2 had split into pseudo-header fields: with the scheme
    that was asked for, whatever carries it."""
    # OPTIONS without a path: its "*" is not part of an absolute form (RFC 9112 section 3.2.4).
    cdef size_t path_len = 0 if head.path.len == 1 and head.path.ptr[0] == c"*" else head.path.len
    cdef size_t length = head.scheme.len + 3 + head.authority.len + path_len
    cdef char* text = head.alloc(length)
    cdef char* at = text
    memcpy(at, head.scheme.ptr, head.scheme.len)
    at += head.scheme.len
    memcpy(at, <const char*> "://", 3)
    at += 3
    memcpy(at, head.authority.ptr, head.authority.len)
    memcpy(at + head.authority.len, head.path.ptr, path_len)
    head.form = FORM_ABSOLUTE
    head.target.ptr = text
    head.target.len = length
    return 0


cdef bint restore_request(Head head) except -1:
    cdef Field* field = head.find(H_L5D_ORIG_PROTO)
    cdef Version version = HTTP_11
    cdef bint absolute = False
    if field == NULL:
        return False
    if not parse(field, &version, &absolute):
        head.drop(H_L5D_ORIG_PROTO)
        return False
    head.drop(H_L5D_ORIG_PROTO)
    head.version = version
    head.form = FORM_ORIGIN
    head.target = head.path
    if absolute:
        restore_absolute(head)
    if head.authority.len and head.find(H_HOST) == NULL:
        head.add("Host", 4, head.authority.ptr, head.authority.len, H_HOST, 0)
    return True


cdef int mark_response(Head head, Version version) except -1:
    strip(head)
    if version == HTTP_10:
        return head.add(NAME, NAME_LEN, "HTTP/1.0", 8, H_L5D_ORIG_PROTO, FIELD_LOWER)
    return head.add(NAME, NAME_LEN, "HTTP/1.1", 8, H_L5D_ORIG_PROTO, FIELD_LOWER)


cdef int restore_response(Head head) except -1:
    cdef Field* field = head.find(H_L5D_ORIG_PROTO)
    cdef Version version = HTTP_11
    cdef bint absolute = False
    if field == NULL:
        return 0
    if parse(field, &version, &absolute):
        head.version = version
    head.drop(H_L5D_ORIG_PROTO)
    return 0
