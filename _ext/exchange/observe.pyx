# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Observers that see nothing until they override something, and how all of a plan are told."""


cdef class Observer(Actor):
    cdef int on_request(self, Peer exchange, Head head) except -1:
        return 0

    cdef int on_response(self, Peer exchange, Head head) except -1:
        return 0

    cdef int on_trailers(self, Peer exchange, Head trailers) except -1:
        return 0

    cdef int on_end(self, Peer exchange, End why) except -1:
        return 0

    cdef int on_broken(self) except -1:
        """It missed something, and sees what comes next."""
        return 0


cdef class Seeker(Actor):
    cdef tuple seek(self, Peer exchange, Head head):
        return None

    cdef int on_broken(self) except -1:
        """It missed an exchange, and sees the next."""
        return 0


cdef Seeker NOBODY = Seeker.__new__(Seeker)


cdef int tell_request(tuple observers, Loop loop, Peer exchange, Head head) except -1:
    for each in observers:
        try:
            (<Observer> each).on_request(exchange, head)
        except Exception as error:
            loop.blame(error, <Observer> each)
    return 0


cdef int tell_response(tuple observers, Loop loop, Peer exchange, Head head) except -1:
    for each in observers:
        try:
            (<Observer> each).on_response(exchange, head)
        except Exception as error:
            loop.blame(error, <Observer> each)
    return 0


cdef int tell_trailers(tuple observers, Loop loop, Peer exchange, Head trailers) except -1:
    for each in observers:
        try:
            (<Observer> each).on_trailers(exchange, trailers)
        except Exception as error:
            loop.blame(error, <Observer> each)
    return 0


cdef int tell_end(tuple observers, Loop loop, Peer exchange, End why) except -1:
    for each in observers:
        try:
            (<Observer> each).on_end(exchange, why)
        except Exception as error:
            loop.blame(error, <Observer> each)
    return 0
