"""SO_ORIGINAL_DST / IP6T_SO_ORIGINAL_DST of an accepted socket."""

from linkerd2_py._ext.io.address cimport Address

# None when the socket was not redirected (ENOPROTOOPT, ENOENT, or equal to the local address)
cdef Address original_dst(int fd)
