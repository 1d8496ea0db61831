# cython: language_level=3
"""What the process asks of the kernel about itself: calls that would otherwise need ctypes, a
quarter MiB in every pod."""

cdef extern from *:
    """
    #include <sys/prctl.h>
    static int l5d_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
    """
    int l5d_undumpable() noexcept


def forbid_dumps():
    """Neither core dumps nor a debugger of the same user may read what we carry. Whether it worked."""
    return l5d_undumpable() == 0
