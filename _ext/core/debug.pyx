# cython: language_level=3
"""The counters behind `born`, `gone` and `check`, and their Python face for the leak tests."""

from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort

cdef long[<int> LIVE_KINDS] live

KINDS = (
    "buffer", "transport", "session", "stream", "exchange", "pump", "endpoint", "target",
    "timer", "listener", "credentials", "channel", "call", "tap", "sighting",
    "entry", "span", "held",
)


cdef void born(Kind kind) noexcept nogil:
    if L5D_DEBUG:
        live[<int> kind] += 1


cdef void gone(Kind kind) noexcept nogil:
    if L5D_DEBUG:
        live[<int> kind] -= 1
        check(live[<int> kind] >= 0, b"more objects of a kind ended than were made")


cdef void check(bint truth, const char* what) noexcept nogil:
    if L5D_DEBUG and not truth:
        fprintf(stderr, b"linkerd2-py: check failed: %s\n", what)
        abort()


def enabled() -> bool:
    """Whether this is a debug build."""
    return bool(L5D_DEBUG)


def counts() -> dict[str, int]:
    """Live objects by kind; all zero in a release build."""
    return {KINDS[kind]: live[kind] for kind in range(<int> LIVE_KINDS)}


def check_for_test(truth: bool) -> None:
    """Runs `check` from Python: only a debug build ends the process."""
    check(truth, b"asked for by a test")
