"""The kernel's interface as far as this folder needs it (header-only)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from posix.time cimport itimerspec

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int count, int timeout_ms)
    enum: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLPRI, EPOLLERR, EPOLLHUP
    enum: EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL
    # Bit 31: does not fit a C int, hence not in the enum above.
    const uint32_t EPOLLET

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll_fds "poll" (pollfd* fds, unsigned long count, int timeout_ms)
    enum: POLLIN

cdef extern from "<sys/timerfd.h>" nogil:
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* fresh, itimerspec* old)
    enum: TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int start, int flags)
    int eventfd_write(int fd, uint64_t count)
    enum: EFD_NONBLOCK, EFD_CLOEXEC

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    ctypedef uint16_t sa_family_t
    struct sockaddr:
        sa_family_t sa_family
    struct sockaddr_storage:
        sa_family_t ss_family
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct linger:
        int l_onoff
        int l_linger
    int socket(int family, int kind, int protocol)
    int bind(int fd, const sockaddr* address, socklen_t size)
    int listen(int fd, int backlog)
    int c_connect "connect" (int fd, const sockaddr* address, socklen_t size)
    int accept4(int fd, sockaddr* address, socklen_t* size, int flags)
    int shutdown(int fd, int how)
    int getsockname(int fd, sockaddr* address, socklen_t* size)
    int getpeername(int fd, sockaddr* address, socklen_t* size)
    int getsockopt(int fd, int level, int option, void* value, socklen_t* size)
    int setsockopt(int fd, int level, int option, const void* value, socklen_t size)
    ssize_t recv(int fd, void* dst, size_t room, int flags)
    ssize_t c_send "send" (int fd, const void* src, size_t count, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    enum: AF_INET, AF_INET6, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC
    enum: SOL_SOCKET, SO_ERROR, SO_LINGER, SO_KEEPALIVE, SO_REUSEADDR
    enum: MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_WR

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* asked, unsigned long count, int timeout_ms)
    enum: POLLOUT, POLLRDHUP, POLLHUP, POLLERR

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        sa_family_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        sa_family_t sin6_family
        uint16_t sin6_port
        uint32_t sin6_flowinfo
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    enum: IPPROTO_TCP, SOL_IP, SOL_IPV6, IPV6_V6ONLY

cdef extern from "<netinet/tcp.h>" nogil:
    enum: TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT, TCP_INFO
    struct tcp_info:
        uint8_t tcpi_retransmits       # of what is unanswered now
        uint8_t tcpi_probes            # of a shut window, unanswered
        uint32_t tcpi_last_data_sent   # ms ago
        uint32_t tcpi_last_ack_recv    # ms ago

cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, int* value)

cdef extern from "<linux/sockios.h>" nogil:
    enum: SIOCOUTQNSD

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* dst)
    const char* inet_ntop(int family, const void* src, char* dst, socklen_t size)
    uint16_t htons(uint16_t value)
    uint16_t ntohs(uint16_t value)
    bint IN6_IS_ADDR_V4MAPPED(const in6_addr* address)
