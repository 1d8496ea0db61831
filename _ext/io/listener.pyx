# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Accepting connections, and what to do when there is nothing left to accept them with.

Out of descriptors, a connection that nobody accepts makes its client wait for nothing: it is accepted on a
descriptor kept in reserve and reset, so that the client may go elsewhere at once. Then accepting pauses, 100
ms doubling to 1 s, until an accept goes well again.
"""

from libc.errno cimport EAGAIN, EBADF, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOTSOCK, errno
from libc.stdint cimport uint32_t
from posix.fcntl cimport O_CLOEXEC, O_RDONLY, open
from posix.unistd cimport close

from linkerd2_py._ext.core.clock cimport MS, SECOND
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_LISTENER, born, gone
from linkerd2_py._ext.io.address cimport apply_options, local_address_of
from linkerd2_py._ext.io.linux cimport (
    EPOLLIN,
    IPV6_V6ONLY,
    SO_LINGER,
    SO_REUSEADDR,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_IPV6,
    SOL_SOCKET,
    accept4,
    bind,
    linger,
    listen,
    setsockopt,
    sockaddr,
    socket,
)
from linkerd2_py._ext.io.transport cimport wrap

cdef enum:
    ACCEPTS = 64          # per event: then other sources get their turn
    MIN_BACKOFF_MS = 100  # descriptors come back when exchanges end, which takes about so long
    MAX_BACKOFF_MS = 1000 # longer, and clients that retry every second would find nobody
    REPORT_EVERY_S = 10   # a flood of connections must not become a flood of log lines


cdef class Accepting(Actor):
    cdef Transport new_transport(self):
        return Transport.__new__(Transport)

    cdef int on_accepted(self, Transport transport) except -1:
        return 0


cdef class Listener(Source):
    """Listens from construction on. `where` is (host, port), an Address, or the descriptor of a bound socket
    (taken over).

    Raises OSError when the address cannot be had. A (host, port) of an IPv6 wildcard takes IPv4, too. `hold`:
    clients wait in the kernel until `start`.
    """

    def __cinit__(self):
        self.reserved = -1
        if L5D_DEBUG:
            born(LIVE_LISTENER)

    def __dealloc__(self):
        if L5D_DEBUG:
            gone(LIVE_LISTENER)
        if self.reserved >= 0:
            close(self.reserved)

    def __init__(
        self,
        Loop loop not None,
        where: object,
        Accepting accepting not None,
        SocketOptions options=None,
        TcpMetrics metrics=None,
        int backlog=1024,
        bint hold=False,
    ):
        self.metrics = metrics
        self.held = hold
        if isinstance(where, int):
            self.fd = where
            apply_options(self.fd, options)
            if listen(self.fd, backlog) < 0:
                raise OSError(errno, f"cannot listen on descriptor {where}")
        else:
            self.open_socket(where if isinstance(where, Address) else Address(*where), options, backlog)
        self.address = local_address_of(self.fd)
        self.reserved = open(b"/dev/null", O_RDONLY | O_CLOEXEC)
        self.retry = Timer()
        self.accepting = accepting
        loop.add(self, EPOLLIN)

    cdef int open_socket(self, Address where, SocketOptions options, int backlog) except -1:
        cdef int on = 1
        cdef int off = 0
        self.fd = socket((<sockaddr*> where.raw).sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if self.fd < 0:
            raise OSError(errno, f"cannot open a socket for {where}")
        setsockopt(self.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))
        if where.host == "::":
            setsockopt(self.fd, SOL_IPV6, IPV6_V6ONLY, &off, sizeof(off))
        # Linux hands a listener's options down to what it accepts: no setsockopt per connection.
        apply_options(self.fd, options)
        if bind(self.fd, <sockaddr*> where.raw, where.raw_len) < 0 or listen(self.fd, backlog) < 0:
            raise OSError(errno, f"cannot listen on {where}")
        return 0

    cdef int on_event(self, uint32_t events) except -1:
        return 0 if self.suspended or self.held else self.accept_some()

    cdef int on_deferred(self) except -1:
        return 0 if self.suspended else self.accept_some()

    cdef int on_timer(self, Timer timer) except -1:
        self.suspended = False
        return self.accept_some()

    cdef int accept_some(self) except -1:
        cdef int fd, code
        for _ in range(ACCEPTS):
            if self.fd < 0:
                return 0
            fd = accept4(self.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                if not self.admit(fd):
                    return self.suspend()
                self.backoff_ns = 0
                if self.loop.is_spent():
                    break
                continue
            code = errno
            if code == EAGAIN:
                return 0
            if code in (EMFILE, ENFILE):
                self.shed_some()
                return self.suspend()
            if code in (ENOBUFS, ENOMEM):
                return self.suspend()
            if code in (EBADF, EINVAL, ENOTSOCK):
                self.unusable = True
                raise OSError(code, f"cannot accept on {self.address} any more")
            # Anything else is one connection's own end (accept(2): treat like EAGAIN and go on).
        return self.loop.defer(self)

    cdef bint admit(self, int fd) except -1:
        """False when the kernel watches no more for us: that client is reset, and goes elsewhere."""
        cdef Transport transport = self.accepting.new_transport()
        try:
            wrap(transport, self.loop, fd, self.metrics)
        except OSError:
            transport.reset_on_close()
            self.shed += 1
            return False
        self.accepted += 1
        try:
            self.accepting.on_accepted(transport)
        except Exception as error:
            self.loop.report(error, self)
        # Nobody took it: it must not stay open unwatched.
        if transport.session is None and not transport.dead:
            transport.abort()
        return True

    cdef int shed_some(self) except -1:
        cdef linger setting
        cdef int fd
        setting.l_onoff = 1
        setting.l_linger = 0
        for _ in range(ACCEPTS):
            if self.reserved >= 0:
                close(self.reserved)
            fd = accept4(self.fd, NULL, NULL, SOCK_CLOEXEC)
            if fd >= 0:
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &setting, sizeof(setting))
                close(fd)
                self.shed += 1
            self.reserved = open(b"/dev/null", O_RDONLY | O_CLOEXEC)
            if fd < 0:
                break
        return 0

    cdef int suspend(self) except -1:
        self.suspended = True
        self.exhausted += 1
        self.backoff_ns = min(
            max(self.backoff_ns * 2, <int64_t> MIN_BACKOFF_MS * MS), <int64_t> MAX_BACKOFF_MS * MS,
        )
        self.loop.arm(self.retry, self, self.backoff_ns)
        return self.report_exhausted()

    cdef int report_exhausted(self) except -1:
        if self.on_exhausted is None:
            return 0
        if self.reported_at and self.loop.now - self.reported_at < <int64_t> REPORT_EVERY_S * SECOND:
            return 0
        self.reported_at = self.loop.now
        self.on_exhausted(self)
        return 0

    cdef int shut(self) except -1:
        cdef Listener alive = self
        if self.loop is not None:
            self.loop.disarm(self.retry)
            self.loop.remove(self)
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
        if alive.reserved >= 0:
            close(alive.reserved)
            alive.reserved = -1
        alive.accepting = None
        alive.on_exhausted = None
        return 0

    cdef int on_loop_closed(self) except -1:
        return self.shut()

    cdef int on_broken(self) except -1:
        """One failure is not the end of a listener, unless its socket is gone."""
        return self.shut() if self.unusable or self.fd < 0 else self.suspend()

    def start(self) -> None:
        """Accepts, from now on, whoever waits and whoever comes. Idempotent."""
        if self.held and self.fd >= 0:
            self.held = False
            self.loop.defer(self)

    def close(self) -> None:
        """Stops listening. What the kernel has accepted already is taken first: those clients may have sent a
        request. Idempotent.

        One that was held resets them: they were promised nothing.
        """
        cdef int fd = 0
        while self.fd >= 0 and self.accepting is not None and fd >= 0 and not self.held:
            fd = accept4(self.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                self.admit(fd)
        self.shut()
