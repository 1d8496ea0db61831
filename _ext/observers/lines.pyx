# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Whole lines, as many as a pipe takes at once, as long as it takes them."""

from libc.errno cimport EAGAIN, EINTR, ENOBUFS, errno
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memmove
from posix.stat cimport S_ISSOCK, fstat, struct_stat
from posix.unistd cimport write

from linkerd2_py._ext.core.clock cimport MS, SECOND
from linkerd2_py._ext.io.linux cimport MSG_DONTWAIT, MSG_NOSIGNAL, POLLOUT, c_send, poll, pollfd
from linkerd2_py._ext.metrics.registry cimport Registry

cdef extern from "<string.h>" nogil:
    void* memrchr(const void* p, int c, size_t n)

cdef enum:
    RETRY_NS = 20 * MS


cdef class Lines(Actor):

    def __init__(
        self, Loop loop not None, Registry registry not None, *, int fd, bint asks=True,
        size_t room=262144, on_lost=None,
    ):
        cdef struct_stat facts
        if room < LINE_MOST:
            raise ValueError(f"there must be room for one line: {LINE_MOST} bytes")
        if fstat(fd, &facts) < 0:
            raise OSError(errno, f"descriptor {fd} cannot be written to")
        self.loop = loop
        self.fd = fd
        self.asks = asks
        self.is_socket = S_ISSOCK(facts.st_mode)
        self.room = room
        self.start = <char*> malloc(room)
        if self.start == NULL:
            raise MemoryError
        self.retry = Timer(self, 0)
        self.on_lost = on_lost
        self.told = -SECOND
        self.lost = registry.counter(
            "access_log_lines_lost_total",
            "Lines of the access log that were not written because nobody takes them, or not fast enough.",
        )

    def __dealloc__(self):
        free(self.start)

    def close(self):
        if self.fd < 0:
            return
        self.write_some()
        self.loop.disarm(self.retry)
        if self.size:
            self.lose(count_lines(self.start, self.size))
            self.size = 0
        self.fd = -1

    cdef char* begin(self) noexcept:
        if self.room - self.size < LINE_MOST or self.fd < 0:
            self.lose(1)
            return NULL
        return self.start + self.size

    cdef int end(self, size_t n) except -1:
        self.size += n
        return 0 if self.stuck else self.loop.defer(self)

    cdef int on_deferred(self) except -1:
        return 0 if self.fd < 0 else self.write_some()

    cdef int on_timer(self, Timer timer) except -1:
        return 0 if self.fd < 0 else self.write_some()

    cdef int on_broken(self) except -1:
        """Whoever is told of a loss has failed: the lines go on."""
        return 0

    cdef int write_some(self) except -1:
        cdef size_t done = 0, some
        cdef ssize_t outcome = 0
        cdef const char* last
        while done < self.size:
            some = min(self.size - done, <size_t> LINE_MOST)
            last = <const char*> memrchr(self.start + done, c"\n", some)
            if last != NULL:
                some = last + 1 - (self.start + done)
            outcome = self.put(self.start + done, some)
            if outcome < 0:
                break
            done += outcome
        if outcome < 0 and outcome != -EAGAIN and outcome != -EINTR and outcome != -ENOBUFS:
            # Nobody is there to read: these are lost, and maybe somebody reads the next.
            self.lose(count_lines(self.start + done, self.size - done))
            done = self.size
        self.size -= done
        memmove(self.start, self.start + done, self.size)
        self.stuck = self.size > 0
        if self.stuck:
            return self.wait(RETRY_NS)
        return self.tell() if self.missing and outcome >= 0 else 0

    cdef int wait(self, int64_t delay_ns) except -1:
        return self.loop.arm(self.retry, self, delay_ns)

    cdef ssize_t put(self, const char* p, size_t n) noexcept:
        cdef ssize_t outcome
        if self.asks and not self.takes_more():
            return -EAGAIN
        if self.is_socket:
            outcome = c_send(self.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL)
        else:
            outcome = write(self.fd, p, n)
        return -errno if outcome < 0 else outcome

    cdef bint takes_more(self) noexcept:
        cdef pollfd asked
        asked.fd = self.fd
        asked.events = POLLOUT
        asked.revents = 0
        return poll(&asked, 1, 0) > 0

    cdef int lose(self, uint64_t lines) noexcept:
        self.missing += lines
        self.lost.count += lines
        return 0

    cdef int tell(self) except -1:
        cdef int64_t since = self.loop.now - self.told
        cdef uint64_t missing = self.missing
        if since < SECOND:
            return self.wait(SECOND - since)
        if not self.takes_more():
            # The word about it goes the same way, and would be lost, too.
            return self.wait(RETRY_NS)
        self.told = self.loop.now
        self.missing = 0
        if self.on_lost is not None:
            self.on_lost(missing)
        return 0


cdef uint64_t count_lines(const char* p, size_t n) noexcept:
    cdef const char* end = p + n
    cdef uint64_t found = 0
    while p < end:
        p = <const char*> memchr(p, c"\n", end - p)
        if p == NULL:
            break
        p += 1
        found += 1
    return found
