"""What can go wrong with a connection, as one closed set; the only place that reads errno."""

cdef extern from "<errno.h>":
    const int EPROTO        # libc.errno of Cython lacks it

cdef enum FaultKind:
    FAULT_NONE = 0
    FAULT_REFUSED          # ECONNREFUSED: nobody listens
    FAULT_UNREACHABLE      # EHOSTUNREACH, ENETUNREACH, EACCES, EPERM, EADDRNOTAVAIL on connect
    FAULT_CONNECT_TIMEOUT  # our connect timer, or ETIMEDOUT while connecting
    FAULT_RESET            # ECONNRESET, EPIPE: the peer aborted
    FAULT_TIMEOUT          # ETIMEDOUT on an established connection (keepalive, user timeout)
    FAULT_EOF              # the peer closed where the protocol needs more bytes
    FAULT_PROTOCOL         # bytes that our parser, nghttp2 or a framing limit rejected
    FAULT_IDLE             # one of our own timers: header read, idle, drain
    FAULT_NO_FDS           # EMFILE, ENFILE, ENOSPC
    FAULT_NO_MEMORY        # ENOMEM, ENOBUFS
    FAULT_LOCAL            # closed by us on purpose (shutdown, endpoint removed)
    FAULT_TLS              # the peer did not prove who it is, or its records could not be read
    FAULT_IO               # any other errno

cdef FaultKind fault_of_errno(int code, bint connecting) noexcept nogil
# The fault says nothing about the peer.
cdef inline bint is_ours(FaultKind kind) noexcept nogil:
    return kind == FAULT_LOCAL or kind == FAULT_NO_FDS or kind == FAULT_NO_MEMORY

# "ECONNRESET"; "" for 0: the `errno` label of tcp_close_total.
cdef const char* errno_name(int code) noexcept nogil
cdef const char* fault_text(FaultKind kind) noexcept nogil  # short and header-safe, for l5d-proxy-error
