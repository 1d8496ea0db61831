/* Signals as a descriptor that epoll can watch. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <sys/signalfd.h>

#include "bench.h"

/* Readable when SIGTERM, SIGINT or SIGUSR1 has come; none of them interrupts the program any more. */
static inline int signal_descriptor(void)
{
    sigset_t set;
    int fd = -1;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || (fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
        die("signalfd: %s", strerror(errno));
    return fd;
}

/* The number of the next signal that has come, or 0. */
static inline int next_signal(int fd)
{
    struct signalfd_siginfo signal;
    return read(fd, &signal, sizeof signal) == sizeof signal ? (int)signal.ssi_signo : 0;
}

#endif
