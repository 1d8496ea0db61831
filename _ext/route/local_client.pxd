"""Requests of Python's: those of the proxy itself, to the control plane above all."""

from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.route.target_table cimport TargetTable

cdef class LocalClient:
    cdef TargetTable table

cdef class LocalRequest(Stream):
    """A server half whose client is Python. What comes back is queued and delivered from the loop, in
    order."""
    cdef Loop loop
    cdef Head head                # owned until the exchange releases it
    cdef list kept                # bytes that the head's spans point into
    cdef list events              # (callback, *arguments) not delivered yet
    cdef object on_head, on_body, on_end, on_reset
    cdef readonly bint held       # the exchange asks for no more request body
    cdef bint holding             # Python asks for no more response body
    cdef readonly bint ended      # on_end or on_reset was delivered, or cancelled
    cdef int tell(self, tuple event) except -1
    cdef int add_field(self, bytes name, bytes value) except -1
