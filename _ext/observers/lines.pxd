"""Lines on their way to a descriptor whose reader may be slow, or stuck: nobody waits for it."""

from cython cimport final
from libc.stdint cimport int64_t, uint64_t
from linkerd2_py._ext.io.actor cimport Actor, Timer
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.metrics.series cimport Counter

cdef enum:
    # PIPE_BUF: so many bytes a pipe takes whole or not at all. No line is torn by what others write there.
    LINE_MOST = 4096

@final
cdef class Lines(Actor):
    """Written at the end of each turn in which some came; what finds no room is lost, and counted."""
    cdef Loop loop
    cdef int fd                        # borrowed; -1 once closed
    cdef bint asks                     # it may wait: it is asked before each write
    cdef bint is_socket
    cdef char* start                   # owned
    cdef size_t size, room
    cdef bint stuck                    # it took no more when it was last tried: the timer tries again
    cdef Timer retry                   # owned; armed while stuck, or to tell of a loss
    cdef readonly Counter lost         # owned
    cdef uint64_t missing              # lost, and not told yet
    cdef int64_t told                  # loop ns
    cdef object on_lost                # callable(how many), or None
    # Where the next line goes: LINE_MOST bytes. NULL: there is no room, and one more is lost.
    cdef char* begin(self) noexcept
    # It has so many bytes, the last of which ends the line.
    cdef int end(self, size_t n) except -1
    cdef int write_some(self) except -1
    cdef int wait(self, int64_t delay_ns) except -1
    cdef ssize_t put(self, const char* p, size_t n) noexcept       # bytes, or -errno
    cdef bint takes_more(self) noexcept
    cdef int lose(self, uint64_t lines) noexcept
    cdef int tell(self) except -1
