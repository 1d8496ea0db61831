# cython: language_level=3
"""Copies, for what Python keeps outlives the head."""

from linkerd2_py._ext.exchange.head cimport FIELD_DROPPED, Field


cdef list fields_of(Head head):
    cdef int i
    cdef Field* field
    fields = []
    for i in range(head.count):
        field = &head.fields[i]
        if not field.flags & FIELD_DROPPED:
            fields.append((field.name[:field.name_len].lower(), field.value[:field.value_len]))
    return fields
