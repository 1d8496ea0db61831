/* The init container's program: Python's, with the two capabilities that it needs.

   A container that does not run as root loses them at each exec, unless the file that is started permits them.
   Python's own must not permit them to everybody who starts it; so this file does, hands them on as ambient
   capabilities, which stay over an exec, and becomes Python. Where the container has none, the packet filter
   says so later, in words. */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int WANTED[] = {CAP_NET_ADMIN, CAP_NET_RAW};
#define COUNT (int)(sizeof WANTED / sizeof *WANTED)

static void keep_over_exec(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{0}};
    if (syscall(SYS_capget, &header, sets) != 0)
        return;
    /* Both are below 32: all of it is in the first set. */
    for (int i = 0; i < COUNT; i++)
        sets[0].inheritable |= sets[0].permitted & (1u << WANTED[i]);
    if (syscall(SYS_capset, &header, sets) != 0)
        return;
    for (int i = 0; i < COUNT; i++)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, WANTED[i], 0, 0);
}

int main(int count, char **words)
{
    static char *python[] = {"/usr/bin/python3.11", "-I", "-m", "linkerd2_py.proxy.pod.init"};
    enum { OWN = sizeof python / sizeof *python };
    char *all[OWN + count];
    for (int i = 0; i < OWN; i++)
        all[i] = python[i];
    for (int i = 1; i <= count; i++)
        all[OWN + i - 1] = words[i]; /* the last is the null pointer */
    keep_over_exec();
    execv(python[0], all);
    perror("linkerd2-proxy-init: /usr/bin/python3.11");
    return 1;
}
