"""A batch of socket calls made in one system call, through io_uring.

Only that is used of io_uring: each call is a recv or a send that does not wait, so it has been made when
`submit` returns, and nothing of ours stays with the kernel between two batches. Readiness remains epoll's
business. Without io_uring (an old kernel, a seccomp profile, `kernel.io_uring_disabled`) callers make the
same calls one by one.
"""

cdef enum:
    CALLS = 64           # the most calls of one batch
    NOT_MADE = -5000     # in place of a result: the kernel did not take the call; its caller makes it himself

cdef class Ring:
    cdef void* mapped                 # owned: the kernel's rings and our entries; NULL after close
    cdef int count                    # calls put since the last submit
    cdef size_t sending               # bytes that they may send
    cdef int[64] results              # after submit, by the order of put: bytes, 0 = EOF, -errno or NOT_MADE
    # The caller proved count < CALLS; the memory must stay where it is until submit returns.
    cdef int put_recv(self, int fd, char* dst, size_t room) noexcept
    cdef int put_send(self, int fd, const char* src, size_t size) noexcept
    # Makes all calls; how many there were. Closes itself when the kernel breaks its word.
    cdef int submit(self) noexcept
    cdef bint is_open(self) noexcept
    cdef int close(self) noexcept     # idempotent
    cdef int put(self, int opcode, int fd, char* memory, size_t size, int flags) noexcept    # private

# None where the kernel offers no io_uring to us.
cdef Ring open_ring()
