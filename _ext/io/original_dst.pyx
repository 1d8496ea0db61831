# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Where a redirected connection was going before the packet filter sent it here.

Any failure to know means: not redirected.
"""

from linkerd2_py._ext.io.address cimport address_of, local_address_of
from linkerd2_py._ext.io.linux cimport (
    AF_INET6,
    SOL_IP,
    SOL_IPV6,
    getsockopt,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)

cdef enum:
    # linux/netfilter_ipv4.h; IP6T_SO_ORIGINAL_DST in linux/netfilter_ipv6/ip6_tables.h is the same number.
    SO_ORIGINAL_DST = 80


cdef Address original_dst(int fd):
    cdef sockaddr_storage raw
    cdef socklen_t size = sizeof(raw)
    cdef Address local = local_address_of(fd)
    cdef Address wanted
    cdef int level
    if local is None:
        return None
    # An IPv4 connection on a dual-stack socket is known to the IPv4 tables only, hence the level of the
    # address, not of the socket.
    level = SOL_IPV6 if (<sockaddr*> local.raw).sa_family == AF_INET6 else SOL_IP
    if getsockopt(fd, level, SO_ORIGINAL_DST, &raw, &size) < 0:
        return None
    wanted = address_of(<sockaddr*> &raw)
    if wanted is None or wanted.same(local):
        return None
    return wanted
