"""Socket addresses and socket options as values."""

from linkerd2_py._ext.io.linux cimport sockaddr

cdef class Address:
    """An IPv4 or IPv6 socket address. Value object, hashable. Python: Address("127.0.0.1", 80), .host, .port,
    str().
    A link-local one has the number of its interface in `host`: fe80::1%2."""
    cdef unsigned char[28] raw              # sockaddr_in / sockaddr_in6
    cdef int raw_len
    cdef readonly str host
    cdef readonly int port
    cdef bint same(self, Address other) noexcept

# None for a family other than IPv4 and IPv6. IPv4 inside IPv6 (::ffff:a.b.c.d) becomes IPv4.
cdef Address address_of(const sockaddr* raw)
# The two ends of a socket; None when the kernel does not know (any more).
cdef Address local_address_of(int fd)
cdef Address peer_address_of(int fd)

cdef class SocketOptions:
    """keepalive_s (0 = off), user_timeout_ms (0 = off). Python-constructible, frozen."""
    cdef readonly int keepalive_s
    cdef readonly int user_timeout_ms

# TCP_NODELAY always, the rest as asked. Values were checked when the options were made: a failure means that
# the socket is dying, which its events will tell.
cdef void apply_options(int fd, SocketOptions options) noexcept
