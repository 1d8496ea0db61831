"""Connecting: a transport whose session hears of the end of the connect from the loop, never from inside
these calls."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.io.address cimport Address, SocketOptions
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Connecting, Transport
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

# Starts a connect. The address is copied.
cdef Transport connect(
    Loop loop, Address address,
    Connecting session, int64_t timeout_ns, SocketOptions options, TcpMetrics metrics,
)
# The same for a new transport of any kind,
cdef Transport connect_with(
    Transport transport, Loop loop, Address address,
    Connecting session, int64_t timeout_ns, SocketOptions options, TcpMetrics metrics,
)
# and on a fresh socket of the caller's (takes ownership); -errno, where it has none, is told as every failure
# is.
cdef Transport connect_fd(
    Transport transport, Loop loop, int fd, Address address,
    Connecting session, int64_t timeout_ns, SocketOptions options, TcpMetrics metrics,
)
