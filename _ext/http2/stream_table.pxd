"""The live streams of a session, and the keys by which they are found.

A key is a number (a slot, and which of its tenants is meant), never a pointer: whoever asks for a stream
that is gone finds nothing.
"""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cython cimport final
from libc.stdint cimport uint32_t, uint64_t
from linkerd2_py._ext.http2.half cimport Http2Half

@final
cdef class StreamTable:
    cdef list slots                  # of Http2Half or None: the reference that keeps a live stream
    cdef uint32_t* free_slots        # owned; a stack of slots whose half is gone
    cdef uint32_t free_count, free_room
    cdef uint32_t generation         # of the half that came last
    cdef int count                   # live halves

    cdef int add(self, Http2Half half) except -1         # gives it its key
    cdef int remove(self, Http2Half half) except -1      # it must be here
    cdef list halves(self)                               # a copy, to be walked while some leave

    cdef inline Http2Half at(self, uint64_t key):
        # A cast: a mask of this size would be a Python int.
        cdef uint32_t place = <uint32_t> key
        cdef Http2Half half
        if place == 0 or place > <uint32_t> PyList_GET_SIZE(self.slots):
            return None
        half = <Http2Half> PyList_GET_ITEM(self.slots, place - 1)
        if half is None or half.key != key:
            return None
        return half

    cdef int add_slot(self) except -1
