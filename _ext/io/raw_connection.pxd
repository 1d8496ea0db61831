"""A TCP connection as the kernel has it: a descriptor, two addresses, and the calls that move bytes or end
their stream."""

from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Source

cdef class RawConnection(Source):
    cdef Address peer, local                # known or asked for once; None until then
    # For logs and labels; None when the socket is gone before anyone asked.
    cdef Address peer_address(self)
    cdef Address local_address(self)
    # What encryption overrides, and nothing else.
    cdef int recv_raw(self, char* dst, size_t room) noexcept       # bytes, 0 = EOF, -errno
    cdef int peek_raw(self) noexcept                               # whether there is one: 1, 0 = EOF, -errno
    cdef ssize_t sendv_raw(self, void* iov, int count) noexcept    # bytes, -errno
    # Our FIN: 0, -errno; -EAGAIN: not yet, once there is room again.
    cdef int shutdown_raw(self) noexcept
    # A clean end: the last the peer hears before close(2), where the bytes have an end of their own. -EAGAIN:
    # not yet, once there is room again
    cdef int goodbye_raw(self) noexcept
    # Its FIN is here, whatever of its bytes is unread.
    cdef bint peer_has_ended(self) noexcept
    # The kernel holds bytes that it may not send on yet, and the peer answers what it is sent: it is there,
    # and takes nothing.
    cdef bint is_held_by_peer(self) noexcept
    cdef int pending_error(self) noexcept                          # SO_ERROR, which asking clears
    cdef int reset_on_close(self) noexcept                         # close(2) will send RST
    cdef bint connected_to_itself(self)
