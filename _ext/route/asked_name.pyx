# cython: language_level=3
"""The server name in first bytes, beside our own."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from linkerd2_py._ext.core.dns_name cimport DNS_NAME_MAX, same_name
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.detect.client_hello cimport HELLO_MORE, HELLO_NAME, HelloState, client_hello


cdef Asked who_is_asked(Buffer inbox, LocalIdentity identity) noexcept:
    cdef char room[DNS_NAME_MAX]
    cdef Span name
    cdef bytes ours = identity.raw_name
    cdef HelloState state = client_hello(inbox.head(), inbox.size(), room, &name)
    if state == HELLO_MORE:
        return ASKED_MORE
    if state == HELLO_NAME and same_name(name, PyBytes_AS_STRING(ours), PyBytes_GET_SIZE(ours)):
        return ASKED_US
    return ASKED_OTHERS
