# cython: language_level=3
"""What the process asks of the kernel about itself: calls that would otherwise need ctypes, a
quarter MiB in every pod."""

from libc.stdint cimport UINT64_MAX, uint64_t
from posix.resource cimport RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, rlimit, setrlimit

cdef extern from *:
    """
    #include <sys/prctl.h>
    static int l5d_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
    """
    int l5d_undumpable() noexcept


def forbid_dumps():
    """Neither core dumps nor a debugger of the same user may read what we carry. Whether it worked."""
    return l5d_undumpable() == 0


cdef uint64_t descriptors_max() noexcept:
    cdef rlimit files
    if getrlimit(RLIMIT_NOFILE, &files) < 0 or files.rlim_cur == RLIM_INFINITY:
        return UINT64_MAX
    return files.rlim_cur


def take_all_descriptors():
    """The soft limit of open descriptors becomes the hard one, as far as that is allowed. What holds then."""
    cdef rlimit files
    if getrlimit(RLIMIT_NOFILE, &files) == 0 and files.rlim_cur != files.rlim_max:
        files.rlim_cur = files.rlim_max
        setrlimit(RLIMIT_NOFILE, &files)
    return descriptors_max()
