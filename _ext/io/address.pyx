# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Socket addresses and socket options as values, and what the kernel says about a socket's ends."""

from libc.string cimport memcmp, memcpy, memset

from linkerd2_py._ext.io.linux cimport (
    AF_INET,
    AF_INET6,
    IN6_IS_ADDR_V4MAPPED,
    IPPROTO_TCP,
    SO_KEEPALIVE,
    SOL_SOCKET,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_NODELAY,
    TCP_USER_TIMEOUT,
    getpeername,
    getsockname,
    htons,
    inet_ntop,
    inet_pton,
    ntohs,
    setsockopt,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    socklen_t,
)

cdef enum:
    KEEPALIVE_PROBES = 3      # lost in a row before the peer is given up: one or two may be lost by chance
    MAX_KEEPALIVE_S = 32767   # what the kernel takes for TCP_KEEPIDLE


cdef class Address:
    def __init__(self, host: str, port: int):
        cdef sockaddr_in v4
        cdef sockaddr_in6 v6
        memset(&v4, 0, sizeof(v4))
        memset(&v6, 0, sizeof(v6))
        if not 0 <= port <= 65535:
            raise ValueError(f"port {port} is not between 0 and 65535")
        plain, percent, zone = host.partition("%")
        text = plain.encode("ascii", "replace")
        self.port = port
        if percent and not _set_zone(&v6, text, zone):
            raise ValueError(f"{host!r} is not an IPv4 or IPv6 address")
        if inet_pton(AF_INET, text, &v4.sin_addr) == 1:
            v4.sin_family = AF_INET
            v4.sin_port = htons(port)
            memcpy(self.raw, &v4, sizeof(v4))
            self.raw_len = sizeof(v4)
            self.host = host
        elif inet_pton(AF_INET6, text, &v6.sin6_addr) == 1:
            v6.sin6_family = AF_INET6
            v6.sin6_port = htons(port)
            memcpy(self.raw, &v6, sizeof(v6))
            self.raw_len = sizeof(v6)
            self.host = _host_text_v6(&v6)
        else:
            raise ValueError(f"{host!r} is not an IPv4 or IPv6 address")

    cdef bint same(self, Address other) noexcept:
        if other is None or self.raw_len != other.raw_len:
            return False
        return memcmp(self.raw, other.raw, self.raw_len) == 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return self.same(<Address> other)

    def __hash__(self) -> int:
        return hash((self.host, self.port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self.host!r}, {self.port})"


cdef str _host_text(int family, const void* address):
    cdef char[64] text
    if inet_ntop(family, address, text, sizeof(text)) == NULL:
        return ""
    return (<bytes> text).decode("ascii")


cdef str _host_text_v6(const sockaddr_in6* v6):
    host = _host_text(AF_INET6, &v6.sin6_addr)
    return f"{host}%{v6.sin6_scope_id}" if v6.sin6_scope_id else host


cdef bint _set_zone(sockaddr_in6* v6, bytes text, str zone) except -1:
    """Whether `text%zone` is a link-local address on an interface given by number, the only kind that has a
    zone."""
    cdef unsigned char* packed = v6.sin6_addr.s6_addr
    if inet_pton(AF_INET6, text, &v6.sin6_addr) != 1 or packed[0] != 0xFE or packed[1] & 0xC0 != 0x80:
        return False
    if not (zone.isascii() and zone.isdecimal() and len(zone) < 10 and int(zone)):
        return False
    v6.sin6_scope_id = int(zone)
    return True


cdef Address address_of(const sockaddr* raw):
    cdef Address address
    cdef sockaddr_in v4
    cdef const sockaddr_in6* v6
    if raw.sa_family == AF_INET:
        memcpy(&v4, raw, sizeof(v4))
        return _address_v4(&v4)
    if raw.sa_family != AF_INET6:
        return None
    v6 = <const sockaddr_in6*> raw
    if IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr):
        memset(&v4, 0, sizeof(v4))
        v4.sin_family = AF_INET
        v4.sin_port = v6.sin6_port
        memcpy(&v4.sin_addr, &v6.sin6_addr.s6_addr[12], 4)
        return _address_v4(&v4)
    address = Address.__new__(Address)
    memcpy(address.raw, v6, sizeof(sockaddr_in6))
    # A flow label is a packet's, not an address's; equality compares all bytes.
    (<sockaddr_in6*> address.raw).sin6_flowinfo = 0
    address.raw_len = sizeof(sockaddr_in6)
    address.host = _host_text_v6(v6)
    address.port = ntohs(v6.sin6_port)
    return address


cdef Address _address_v4(const sockaddr_in* v4):
    cdef Address address = Address.__new__(Address)
    memcpy(address.raw, v4, sizeof(sockaddr_in))
    # The kernel leaves sin_zero as it finds it; equality compares all bytes.
    memset(address.raw + 8, 0, 8)
    address.raw_len = sizeof(sockaddr_in)
    address.host = _host_text(AF_INET, &v4.sin_addr)
    address.port = ntohs(v4.sin_port)
    return address


cdef Address local_address_of(int fd):
    cdef sockaddr_storage raw
    cdef socklen_t size = sizeof(raw)
    if fd < 0 or getsockname(fd, <sockaddr*> &raw, &size) < 0:
        return None
    return address_of(<sockaddr*> &raw)


cdef Address peer_address_of(int fd):
    cdef sockaddr_storage raw
    cdef socklen_t size = sizeof(raw)
    if fd < 0 or getpeername(fd, <sockaddr*> &raw, &size) < 0:
        return None
    return address_of(<sockaddr*> &raw)


cdef class SocketOptions:
    def __init__(self, keepalive_s: int = 0, user_timeout_ms: int = 0):
        if not 0 <= keepalive_s <= MAX_KEEPALIVE_S:
            raise ValueError(f"keepalive_s {keepalive_s} is not between 0 and {MAX_KEEPALIVE_S}")
        if not 0 <= user_timeout_ms <= 2147483647:
            raise ValueError(f"user_timeout_ms {user_timeout_ms} is not between 0 and 2147483647")
        self.keepalive_s = keepalive_s
        self.user_timeout_ms = user_timeout_ms

    def __repr__(self) -> str:
        return f"SocketOptions(keepalive_s={self.keepalive_s}, user_timeout_ms={self.user_timeout_ms})"


cdef void apply_options(int fd, SocketOptions options) noexcept:
    _set(fd, IPPROTO_TCP, TCP_NODELAY, 1)
    if options is None:
        return
    if options.keepalive_s:
        _set(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
        _set(fd, IPPROTO_TCP, TCP_KEEPIDLE, options.keepalive_s)
        _set(fd, IPPROTO_TCP, TCP_KEEPINTVL, options.keepalive_s)
        _set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES)
    if options.user_timeout_ms:
        _set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options.user_timeout_ms)


cdef void _set(int fd, int level, int option, int value) noexcept:
    setsockopt(fd, level, option, &value, sizeof(value))
