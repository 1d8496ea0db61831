"""The idle HTTP/1 connections of one endpoint in order of use. Each step costs the same however many there
are: connections come, go and end in any order."""

from linkerd2_py._ext.http1.client cimport Http1Client

cdef class IdleConnections:
    cdef Http1Client oldest, newest          # owned, and the others through their links
    cdef Py_ssize_t count
    # The most recently used; it must not stand here already
    cdef int push(self, Http1Client client) except -1
    cdef Http1Client pop(self)                            # that one; None when there is none
    # The one unused for longest; None when there is none
    cdef Http1Client pop_oldest(self)
    cdef int remove(self, Http1Client client) except -1   # idempotent
