"""The outer loop as the inner one sees it: a libuv loop that watches one descriptor for us, and that we can
sleep for.

uvloop's compiled module shows libuv's public functions; they are looked up in it by name. Everything here is
called on the loop's own thread.
"""

cdef class OuterLoop:
    cdef object owner          # owned: the asyncio loop; keeps its uv_loop_t alive
    # Owned: called without arguments when the watched descriptor is readable; None after close.
    cdef object on_readable
    cdef void* loop            # borrowed from owner: uv_loop_t
    # A uv_poll_t. Libuv's from open to its close callback, which frees it; NULL after close.
    cdef void* handle
    cdef int fd                # borrowed from owner: the epoll descriptor libuv sleeps on
    cdef int watch(self) except -1      # idempotent
    cdef int unwatch(self) noexcept     # idempotent
    # Milliseconds until it wants its turn: 0 at once, -1 not before something happens on `fd`.
    cdef int timeout_ms(self) noexcept
    cdef int close(self) except -1      # idempotent

# None when `library` does not show libuv's functions. `loop_t`: a capsule of the uv_loop_t.
cdef OuterLoop open_outer(object owner, object loop_t, str library, int watched_fd, object on_readable)
