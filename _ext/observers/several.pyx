# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Each is asked for itself: what one of them raises keeps nobody else from looking."""

from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Peer


cdef class Several(Seeker):
    def __init__(self, Loop loop not None, seekers):
        cdef Seeker seeker
        self.loop = loop
        self.seekers = tuple(seekers)
        for seeker in self.seekers:
            if seeker is None:
                raise TypeError("nobody is no seeker")
        self.wanting = 1

    cdef tuple seek(self, Peer exchange, Head head):
        cdef tuple found = None, more
        for each in self.seekers:
            if not (<Seeker> each).wanting:
                continue
            try:
                more = (<Seeker> each).seek(exchange, head)
            except Exception as error:
                self.loop.blame(error, <Seeker> each)
                continue
            if more is not None:
                found = more if found is None else found + more
        return found
