/* What the programs here share: an end with a message, addresses, sockets, the clock, a processor to run on.
 *
 * Everything is loopback and IPv4 by default; `host:port` with port 0 binds any free port. All sockets are non-blocking with
 * TCP_NODELAY. A program that cannot go on says why in one line on stderr and ends with status 1. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
    va_list words;
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(words, format);
    vfprintf(stderr, format, words);
    va_end(words);
    fputc('\n', stderr);
    exit(1);
}

static inline int64_t now_ns(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec * SECOND_NS + moment.tv_nsec;
}

/* A number of an option, or the end of the program. */
static inline int64_t number_of(const char *option, const char *text, int64_t low, int64_t high)
{
    char *rest;
    errno = 0;
    int64_t number = strtoll(text, &rest, 10);
    if (errno || rest == text || *rest || number < low || number > high)
        die("--%s takes a whole number from %lld to %lld, not '%s'", option, (long long)low, (long long)high, text);
    return number;
}

/* "127.0.0.1:8080" */
static inline struct sockaddr_in address_of(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    if (!colon || colon - text >= (long)sizeof host)
        die("'%s' is not an address such as 127.0.0.1:8080", text);
    memcpy(host, text, colon - text);
    host[colon - text] = 0;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        die("'%s' is not an address such as 127.0.0.1:8080", text);
    char *rest;
    long port = strtol(colon + 1, &rest, 10);
    if (rest == colon + 1 || *rest || port < 0 || port > 65535)
        die("'%s' is not an address such as 127.0.0.1:8080", text);
    address.sin_port = htons((uint16_t)port);
    return address;
}

#define ADDRESS_TEXT 24

/* As "127.0.0.1:8080" again. */
static inline const char *address_text(const struct sockaddr_in *address, char text[ADDRESS_TEXT])
{
    const uint8_t *host = (const uint8_t *)&address->sin_addr;
    snprintf(text, ADDRESS_TEXT, "%d.%d.%d.%d:%d", host[0], host[1], host[2], host[3], ntohs(address->sin_port));
    return text;
}

static inline void set_option(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        die("setsockopt: %s", strerror(errno));
}

/* A listening socket; `address` gets the port that was bound. */
static inline int listen_on(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof *address;
    if (fd < 0)
        die("socket: %s", strerror(errno));
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* accepted sockets inherit it */
    if (bind(fd, (struct sockaddr *)address, sizeof *address) < 0 || listen(fd, 4096) < 0)
        die("cannot listen on port %d: %s", ntohs(address->sin_port), strerror(errno));
    getsockname(fd, (struct sockaddr *)address, &size);
    return fd;
}

/* A non-blocking connect that is under way or done: the descriptor, or -1 with errno. */
static inline int connect_to(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno != EINPROGRESS) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

/* As many descriptors as the system lets us have. */
static inline void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* The byte at `offset` of every body that is sent or expected: printable, of period 26 * 26, so that a shift is noticed. */
static inline char body_byte(size_t offset)
{
    return (char)('a' + (offset + offset / 26) % 26);
}

#endif
