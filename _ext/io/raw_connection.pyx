# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""System calls on one connection: repeated when a signal came between, their errors as -errno."""

from libc.errno cimport EINTR, errno

from linkerd2_py._ext.io.address cimport local_address_of, peer_address_of
from linkerd2_py._ext.io.linux cimport (
    IPPROTO_TCP,
    MSG_NOSIGNAL,
    MSG_PEEK,
    POLLERR,
    POLLHUP,
    POLLRDHUP,
    SHUT_WR,
    SIOCOUTQNSD,
    SO_ERROR,
    SO_LINGER,
    SOL_SOCKET,
    TCP_INFO,
    c_send,
    getsockopt,
    ioctl,
    iovec,
    linger,
    msghdr,
    poll,
    pollfd,
    recv,
    sendmsg,
    setsockopt,
    shutdown,
    socklen_t,
    tcp_info,
)

cdef enum:
    # A kernel answers no more than two probes a second of a window that is shut, so one may have none.
    UNANSWERED = 4


cdef class RawConnection(Source):

    cdef Address peer_address(self):
        if self.peer is None:
            self.peer = peer_address_of(self.fd)
        return self.peer

    cdef Address local_address(self):
        if self.local is None:
            self.local = local_address_of(self.fd)
        return self.local

    cdef int recv_raw(self, char* dst, size_t room) noexcept:
        cdef ssize_t got = recv(self.fd, dst, room, 0)
        while got < 0 and errno == EINTR:
            got = recv(self.fd, dst, room, 0)
        return <int> got if got >= 0 else -errno

    cdef int peek_raw(self) noexcept:
        cdef char byte
        cdef ssize_t got = recv(self.fd, &byte, 1, MSG_PEEK)
        while got < 0 and errno == EINTR:
            got = recv(self.fd, &byte, 1, MSG_PEEK)
        return <int> got if got >= 0 else -errno

    cdef bint peer_has_ended(self) noexcept:
        cdef pollfd asked
        asked.fd = self.fd
        asked.events = POLLRDHUP
        asked.revents = 0
        return poll(&asked, 1, 0) > 0 and asked.revents & (POLLRDHUP | POLLHUP | POLLERR) != 0

    cdef ssize_t sendv_raw(self, void* iov, int count) noexcept:
        cdef iovec* vectors = <iovec*> iov
        cdef msghdr message
        cdef ssize_t sent
        if count == 1:
            sent = c_send(self.fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL)
            while sent < 0 and errno == EINTR:
                sent = c_send(self.fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL)
            return sent if sent >= 0 else -errno
        message.msg_name = NULL
        message.msg_namelen = 0
        message.msg_iov = vectors
        message.msg_iovlen = count
        message.msg_control = NULL
        message.msg_controllen = 0
        message.msg_flags = 0
        sent = sendmsg(self.fd, &message, MSG_NOSIGNAL)
        while sent < 0 and errno == EINTR:
            sent = sendmsg(self.fd, &message, MSG_NOSIGNAL)
        return sent if sent >= 0 else -errno

    cdef int shutdown_raw(self) noexcept:
        return 0 if shutdown(self.fd, SHUT_WR) == 0 else -errno

    cdef int goodbye_raw(self) noexcept:
        return 0

    cdef bint connected_to_itself(self):
        """A connect to a port nobody listens on may pick that very port as its own: TCP's simultaneous open,
        on loopback."""
        cdef Address local = local_address_of(self.fd)
        return local is not None and local.same(self.peer)

    cdef bint is_held_by_peer(self) noexcept:
        cdef tcp_info info
        cdef socklen_t size = sizeof(info)
        cdef int unsent = 0
        if ioctl(self.fd, SIOCOUTQNSD, &unsent) < 0 or unsent == 0:
            return False
        if getsockopt(self.fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0:
            return False
        # Sent again into a window that was shut meanwhile, bytes are answered but not taken.
        if info.tcpi_retransmits >= UNANSWERED and info.tcpi_last_ack_recv > info.tcpi_last_data_sent:
            return False
        return info.tcpi_probes < UNANSWERED

    cdef int pending_error(self) noexcept:
        cdef int code = 0
        cdef socklen_t size = sizeof(code)
        if getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0:
            return errno
        return code

    cdef int reset_on_close(self) noexcept:
        cdef linger setting
        setting.l_onoff = 1
        setting.l_linger = 0
        return setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &setting, sizeof(setting))
