# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A connect from the socket to the moment when the loop waits for it; what comes of it is the transport's
part."""

from libc.errno cimport EINPROGRESS, EINTR, errno

from linkerd2_py._ext.core.fault cimport fault_of_errno
from linkerd2_py._ext.io.address cimport apply_options
from linkerd2_py._ext.io.linux cimport SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, c_connect, sockaddr, socket
from linkerd2_py._ext.io.transport cimport WATCHED
from linkerd2_py._ext.metrics.series cimport L5D_METRICS


cdef Transport connect(
    Loop loop, Address address,
    Connecting session, int64_t timeout_ns, SocketOptions options, TcpMetrics metrics,
):
    return connect_with(Transport.__new__(Transport), loop, address, session, timeout_ns, options, metrics)


cdef Transport connect_with(
    Transport transport, Loop loop, Address address,
    Connecting session, int64_t timeout_ns, SocketOptions options, TcpMetrics metrics,
):
    cdef int fd = socket((<sockaddr*> address.raw).sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        fd = -errno
    return connect_fd(transport, loop, fd, address, session, timeout_ns, options, metrics)


cdef Transport connect_fd(
    Transport transport, Loop loop, int fd, Address address,
    Connecting session, int64_t timeout_ns, SocketOptions options, TcpMetrics metrics,
):
    cdef int code = -fd if fd < 0 else 0
    transport.loop = loop
    transport.peer = address
    transport.metrics = metrics if L5D_METRICS else None
    transport.connecting = True
    transport.opened_at = loop.now
    transport.session = session
    session.transport = transport
    if code == 0:
        transport.fd = fd
        apply_options(fd, options)
        if c_connect(fd, <sockaddr*> address.raw, address.raw_len) < 0 and errno not in (EINPROGRESS, EINTR):
            code = errno
    if code:
        transport.fail_later(fault_of_errno(code, True), code)
        return transport
    try:
        loop.add(transport, WATCHED)
    except OSError as error:
        code = error.errno
        transport.fail_later(fault_of_errno(code, True), code)
        return transport
    loop.arm(transport.timer(), transport, timeout_ns)
    return transport
