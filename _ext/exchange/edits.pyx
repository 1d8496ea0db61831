# cython: language_level=3
"""Few fields, each found by a look at all of a head."""

import re

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, FIELD_LOWER, FIELD_OF_WAY, FORM_ABSOLUTE, FORM_ORIGIN, H_CONNECTION, H_CONTENT_LENGTH,
    H_EXPECT, H_HOST, H_HTTP2_SETTINGS, H_KEEP_ALIVE, H_PROXY_CONNECTION, H_TE, H_TRAILER,
    H_TRANSFER_ENCODING, H_UPGRADE, HTTP_2, L5D_FIELDS, METHOD_CONNECT, Field, equals_lower, field_id,
)
from linkerd2_py._ext.exchange.sound cimport is_host

cdef object NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]{1,256}\Z")
cdef object VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]{0,4096}\Z")
cdef enum:
    # What frames a message, says where it goes, or is ours.
    FIXED = (
        1 << H_CONNECTION | 1 << H_CONTENT_LENGTH | 1 << H_EXPECT | 1 << H_HOST | 1 << H_HTTP2_SETTINGS
        | 1 << H_KEEP_ALIVE | 1 << H_PROXY_CONNECTION | 1 << H_TE | 1 << H_TRAILER
        | 1 << H_TRANSFER_ENCODING | 1 << H_UPGRADE | L5D_FIELDS
    )


cdef class Edits:
    def __init__(self, *, add=(), set=(), remove=(), NewPath path=None, bytes host not None=b""):
        cdef const char* start = host
        if host and not is_host(start, start + len(host)):
            raise ValueError(f"a rewrite to the host {host[:300]!r}")
        self.path = path
        self.host = host
        self.rewrites = path is not None or len(host) > 0
        self.added = tuple([valued(name, value) for name, value in add])
        self.put = tuple([valued(name, value) for name, value in set])
        self.removed = tuple([named(name) for name in remove])

    cdef int apply(self, Head head, int mark) except -1:
        for name, value, number in self.added:
            append(head, name, value, number, mark)
        for name, value, number in self.put:
            drop(head, name, mark)
            append(head, name, value, number, mark)
        for name in self.removed:
            drop(head, name, mark)
        return self.rewrite(head) if self.rewrites else 0

    cdef int rewrite(self, Head head) except -1:
        """A target that names its authority, too, becomes a path, so that no two of them can differ."""
        cdef bint absolute = head.form == FORM_ABSOLUTE
        if head.method_id == METHOD_CONNECT:
            return 0
        if self.path is not None and head.path.len and head.path.ptr[0] == c"/":
            head.path = self.path.of(head)
        if PyBytes_GET_SIZE(self.host):
            head.authority.ptr = PyBytes_AS_STRING(self.host)
            head.authority.len = PyBytes_GET_SIZE(self.host)
        head.target = head.path
        if absolute:
            head.form = FORM_ORIGIN
        if head.version == HTTP_2 or head.authority.len == 0 or not (absolute or PyBytes_GET_SIZE(self.host)):
            return 0
        head.drop(H_HOST)
        return head.add("Host", 4, head.authority.ptr, head.authority.len, H_HOST, 0)


cdef int undo(Head head, int fields) noexcept:
    cdef Field* field
    cdef int i
    for i in range(head.count):
        field = &head.fields[i]
        if field.flags & FIELD_OF_WAY:
            field.flags &= ~FIELD_OF_WAY
            if i < fields:
                field.flags &= ~FIELD_DROPPED
            else:
                field.flags |= FIELD_DROPPED
    return 0


cdef bytes named(bytes name):
    cdef bytes lower = name.lower()
    if NAME.match(lower) is None:
        raise ValueError(f"{name!r} is no name of a field")
    if (FIXED >> field_id(lower, len(lower))) & 1:
        raise ValueError(f"{lower.decode()} is not a route's to change")
    return lower


cdef tuple valued(bytes name, bytes value):
    cdef bytes lower = named(name)
    if VALUE.match(value) is None:
        raise ValueError(f"{value[:100]!r} is no value of a field")
    return lower, value.strip(b" \t"), field_id(lower, len(lower))


cdef int append(Head head, bytes name, bytes value, int number, int mark) except -1:
    return head.add(name, len(name), value, len(value), number, FIELD_LOWER | mark)


cdef int drop(Head head, bytes name, int mark) except -1:
    cdef Field* field
    cdef const char* text = name
    cdef size_t length = len(name)
    cdef int i
    for i in range(head.count):
        field = &head.fields[i]
        if not field.flags & FIELD_DROPPED and equals_lower(field.name, field.name_len, text, length):
            field.flags |= FIELD_DROPPED | mark
    return 0
