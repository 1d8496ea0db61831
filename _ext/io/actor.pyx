# cython: language_level=3
"""An actor that has no work for any callback, and an idle timer."""

from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_TIMER, born, check, gone


cdef class Actor:
    cdef int on_deferred(self) except -1:
        return 0

    cdef int on_timer(self, Timer timer) except -1:
        return 0

    cdef int on_broken(self) except -1:
        check(False, b"an actor with work does not say what happens when it fails")
        return 0


cdef class Timer:
    def __cinit__(self, owner: Actor | None = None, kind: int = 0):
        self.kind = kind
        if L5D_DEBUG:
            born(LIVE_TIMER)

    def __dealloc__(self):
        if L5D_DEBUG:
            check(not self.armed, b"an armed timer was freed")
            gone(LIVE_TIMER)
