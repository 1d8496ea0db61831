"""Live-object counters and assertions that exist in debug builds only (L5D_DEBUG=1); free in release."""

cdef extern from *:
    """
    #ifndef L5D_DEBUG
    #define L5D_DEBUG 0
    #endif
    """
    const int L5D_DEBUG

cdef enum Kind:
    LIVE_BUFFER, LIVE_TRANSPORT, LIVE_SESSION, LIVE_STREAM, LIVE_EXCHANGE, LIVE_PUMP, LIVE_ENDPOINT
    LIVE_TARGET, LIVE_TIMER, LIVE_LISTENER, LIVE_CREDENTIALS, LIVE_CHANNEL, LIVE_CALL, LIVE_TAP, LIVE_SIGHTING
    LIVE_ENTRY, LIVE_SPAN, LIVE_HELD
    LIVE_KINDS

# In __cinit__ / __dealloc__: `born(LIVE_X)` / `gone(LIVE_X)`. Recycled objects count as live only while
# leased.
cdef void born(Kind kind) noexcept nogil
cdef void gone(Kind kind) noexcept nogil
# In a debug build ends the process, with `what` on stderr, when `truth` is 0. Does nothing in a release
# build.
cdef void check(bint truth, const char* what) noexcept nogil
# Python: counts() -> dict[str, int] (all zero in a release build), enabled() -> bool.
