# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""errno to fault, errno to its name, fault to a short text.

Nothing else in the engine compares errno for meaning.
"""

from libc cimport errno as e


cdef FaultKind fault_of_errno(int code, bint connecting) noexcept nogil:
    if code == 0:
        return FAULT_NONE
    # ENOSPC: the kernel watches no more of them for this user.
    if code in (e.EMFILE, e.ENFILE, e.ENOSPC):
        return FAULT_NO_FDS
    if code in (e.ENOMEM, e.ENOBUFS):
        return FAULT_NO_MEMORY
    if code == e.ETIMEDOUT:
        return FAULT_CONNECT_TIMEOUT if connecting else FAULT_TIMEOUT
    if code == EPROTO:
        return FAULT_TLS
    if connecting:
        return _connect_fault(code)
    # A route that vanishes below an established connection ends it like a time-out, with the kernel's own
    # words.
    if code in (e.EHOSTUNREACH, e.ENETUNREACH):
        return FAULT_TIMEOUT
    return FAULT_RESET if code in (e.ECONNRESET, e.EPIPE, e.ECONNABORTED) else FAULT_IO


cdef FaultKind _connect_fault(int code) noexcept nogil:
    if code == e.ECONNREFUSED:
        return FAULT_REFUSED
    # A server that resets during the handshake listens no more than one that refuses.
    if code == e.ECONNRESET:
        return FAULT_REFUSED
    if code in (
        e.EHOSTUNREACH, e.ENETUNREACH, e.ENETDOWN, e.EHOSTDOWN, e.EACCES, e.EPERM,
        e.EADDRNOTAVAIL, e.EAFNOSUPPORT, e.EINVAL,
    ):
        return FAULT_UNREACHABLE
    return FAULT_IO


cdef const char* errno_name(int code) noexcept nogil:
    if code == 0:
        return b""
    elif code == e.ECONNRESET:
        return b"ECONNRESET"
    elif code == e.EPIPE:
        return b"EPIPE"
    elif code == e.ECONNREFUSED:
        return b"ECONNREFUSED"
    elif code == e.ETIMEDOUT:
        return b"ETIMEDOUT"
    elif code == e.EHOSTUNREACH:
        return b"EHOSTUNREACH"
    elif code == e.ENETUNREACH:
        return b"ENETUNREACH"
    elif code == e.ENETDOWN:
        return b"ENETDOWN"
    elif code == e.ECONNABORTED:
        return b"ECONNABORTED"
    elif code == e.EADDRNOTAVAIL:
        return b"EADDRNOTAVAIL"
    elif code == e.EADDRINUSE:
        return b"EADDRINUSE"
    elif code == e.EAFNOSUPPORT:
        return b"EAFNOSUPPORT"
    elif code == e.EACCES:
        return b"EACCES"
    elif code == e.EPERM:
        return b"EPERM"
    elif code == e.EMFILE:
        return b"EMFILE"
    elif code == e.ENFILE:
        return b"ENFILE"
    elif code == e.ENOSPC:
        return b"ENOSPC"
    elif code == e.ENOMEM:
        return b"ENOMEM"
    elif code == e.ENOBUFS:
        return b"ENOBUFS"
    elif code == e.EBADF:
        return b"EBADF"
    elif code == e.EINVAL:
        return b"EINVAL"
    elif code == e.ENOTCONN:
        return b"ENOTCONN"
    elif code == e.EHOSTDOWN:
        return b"EHOSTDOWN"
    elif code == EPROTO:
        return b"EPROTO"
    # The label's values are a closed set: a metric must not grow by what a kernel may invent.
    return b"EOTHER"


cdef const char* fault_text(FaultKind kind) noexcept nogil:
    if kind == FAULT_REFUSED:
        return b"connection refused"
    elif kind == FAULT_UNREACHABLE:
        return b"host unreachable"
    elif kind == FAULT_CONNECT_TIMEOUT:
        return b"connect timed out"
    elif kind == FAULT_RESET:
        return b"connection reset"
    elif kind == FAULT_TIMEOUT:
        return b"connection timed out"
    elif kind == FAULT_EOF:
        return b"connection closed before message completed"
    elif kind == FAULT_PROTOCOL:
        return b"protocol error"
    elif kind == FAULT_IDLE:
        return b"timed out"
    elif kind == FAULT_NO_FDS:
        return b"out of file descriptors"
    elif kind == FAULT_NO_MEMORY:
        return b"out of memory"
    elif kind == FAULT_LOCAL:
        return b"connection closed by proxy"
    elif kind == FAULT_TLS:
        return b"TLS failed"
    elif kind == FAULT_IO:
        return b"connection failed"
    return b""
