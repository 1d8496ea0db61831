# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Slots that are used again, each time for another generation."""

from libc.stdlib cimport free, realloc
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, check

cdef extern from *:
    """
    /* items[at] = item, where `at` is below the size. */
    static inline void l5d_put_item(PyObject *items, Py_ssize_t at, PyObject *item)
    {
        PyObject *old = PyList_GET_ITEM(items, at);
        Py_INCREF(item);
        PyList_SET_ITEM(items, at, item);
        Py_DECREF(old);
    }
    """
    void put_item "l5d_put_item"(list items, Py_ssize_t at, object item) noexcept


cdef class StreamTable:
    def __cinit__(self):
        self.slots = []

    def __dealloc__(self):
        free(self.free_slots)

    cdef int add(self, Http2Half half) except -1:
        cdef uint32_t slot
        if self.free_count == 0:
            self.add_slot()
        self.free_count -= 1
        slot = self.free_slots[self.free_count]
        put_item(self.slots, slot, half)
        self.generation += 1
        self.count += 1
        # Never 0, which is what libnghttp2 keeps for a stream that nobody has named.
        half.key = (<uint64_t> self.generation << 32) | (slot + 1)
        return 0

    cdef int remove(self, Http2Half half) except -1:
        cdef uint32_t slot = <uint32_t> half.key - 1
        if L5D_DEBUG:
            check(self.at(half.key) is half, b"a stream was in another's slot")
        put_item(self.slots, slot, None)
        self.free_slots[self.free_count] = slot
        self.free_count += 1
        self.count -= 1
        return 0

    cdef list halves(self):
        return [half for half in self.slots if half is not None]

    cdef int add_slot(self) except -1:
        """One more, free. The stack has room for every slot there is: giving one back cannot fail."""
        cdef uint32_t slot = <uint32_t> PyList_GET_SIZE(self.slots)
        cdef uint32_t room = self.free_room * 2 if self.free_room else 16
        cdef uint32_t* grown
        if slot == self.free_room:
            grown = <uint32_t*> realloc(self.free_slots, room * sizeof(uint32_t))
            if grown == NULL:
                raise MemoryError
            self.free_slots = grown
            self.free_room = room
        self.slots.append(None)
        self.free_slots[self.free_count] = slot
        self.free_count += 1
        return 0
