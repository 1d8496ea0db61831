/* linkerd-cni, as the container runtime of a node finds it among its CNI plugins.
 *
 * A node has no Python. This program passes the question on to the agent in the DaemonSet's pod, together
 * with the network namespace that it is about, and prints what is answered. Whatever goes wrong fails the
 * question, and never lets a pod start without its rules: the kubelet asks again.
 *
 *     to the agent:   each CNI_* variable that there is, as NAME=VALUE and a NUL; one more NUL; then the
 *                     configuration as it came, until the end of the stream. With the first byte comes the
 *                     namespace, as a file descriptor, where CNI_NETNS names one.
 *     from it:        STATUS SPACE LENGTH NEWLINE, and that many bytes for standard output
 *
 * It is linked statically, for a node may have any C library or none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef AGENT_SOCKET
#define AGENT_SOCKET "/run/linkerd-cni/agent.sock"
#endif
#define ANSWER_LIMIT_S 100 /* the kubelet gives a question up after two minutes */
#define LARGEST_ANSWER (4 << 20)
#define VERSION_ANSWER                                                                            \
    "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\","   \
    "\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n"

/* Codes of the CNI specification. */
enum { BAD_VARIABLES = 4, IO_FAILED = 5, TRY_AGAIN = 11, NOT_AVAILABLE = 50 };

static const char *const passed_on[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",
                                        "CNI_IFNAME",  "CNI_ARGS",        "CNI_PATH"};

/* Ends with an error as the specification has it. Both texts are ours, with nothing to be escaped. */
static _Noreturn void refuse(int code, const char *what, const char *why) {
    printf("{\"cniVersion\":\"1.0.0\",\"code\":%d,\"msg\":\"linkerd-cni: %s\",\"details\":\"%s\"}\n",
           code, what, why);
    fflush(stdout);
    _exit(1);
}

static _Noreturn void agent_is_away(const char *command) {
    const char *why = strerror(errno);
    int code = strcmp(command, "STATUS") == 0 ? NOT_AVAILABLE : TRY_AGAIN;
    refuse(code, "no answer from the agent on this node (DaemonSet linkerd-cni): pods wait for it", why);
}

static int connect_to_agent(const char *command) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = AGENT_SOCKET};
    struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
    int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (agent < 0 || setsockopt(agent, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
        setsockopt(agent, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
        connect(agent, (struct sockaddr *)&address, sizeof address) < 0)
        agent_is_away(command);
    return agent;
}

static int send_all(int agent, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(agent, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) return -1;
        if (sent > 0) bytes += sent, length -= (size_t)sent;
    }
    return 0;
}

/* One byte that says nothing, which is what the descriptor can travel with. */
static int send_namespace(int agent, int namespace) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char byte = 0;
    struct iovec one = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
    if (namespace >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &namespace, sizeof namespace);
    }
    ssize_t sent;
    do
        sent = sendmsg(agent, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == 1 ? 0 : -1;
}

static int send_variables(int agent) {
    for (size_t at = 0; at < sizeof passed_on / sizeof *passed_on; at++) {
        const char *value = getenv(passed_on[at]);
        if (value == NULL) continue;
        if (send_all(agent, passed_on[at], strlen(passed_on[at])) < 0 || send_all(agent, "=", 1) < 0 ||
            send_all(agent, value, strlen(value) + 1) < 0)
            return -1;
    }
    return send_all(agent, "", 1);
}

static int send_configuration(int agent) {
    char bytes[65536];
    for (;;) {
        ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
        if (got == 0) return shutdown(agent, SHUT_WR);
        if (got < 0 && errno != EINTR) return -1;
        if (got > 0 && send_all(agent, bytes, (size_t)got) < 0) return -1;
    }
}

/* How many bytes came before the end; -1 for a failure. */
static ssize_t receive_all(int agent, char *bytes, size_t room) {
    size_t have = 0;
    while (have < room) {
        ssize_t got = recv(agent, bytes + have, room - have, 0);
        if (got == 0) break;
        if (got < 0 && errno != EINTR) return -1;
        if (got > 0) have += (size_t)got;
    }
    return (ssize_t)have;
}

/* Prints an answer that is whole. Half of one is what an agent that was killed leaves. */
static int print_answer(int agent, const char *command) {
    char *answer = malloc(LARGEST_ANSWER + 1);
    if (answer == NULL) agent_is_away(command);
    ssize_t have = receive_all(agent, answer, LARGEST_ANSWER);
    if (have < 0) agent_is_away(command);
    answer[have] = 0;
    int status = 1, begins = 0;
    unsigned length = 0;
    errno = EPIPE;
    if (sscanf(answer, "%1d %7u\n%n", &status, &length, &begins) != 2 || begins == 0) agent_is_away(command);
    char *body = strchr(answer, '\n') + 1;
    if ((size_t)(answer + have - body) != length) agent_is_away(command);
    if (fwrite(body, 1, length, stdout) != length || fflush(stdout) != 0) return 1;
    return status;
}

int main(void) {
    const char *command = getenv("CNI_COMMAND");
    if (command == NULL) {
        fputs("linkerd-cni is a CNI plugin: container runtimes call it, with CNI_COMMAND set\n", stderr);
        return 1;
    }
    if (strcmp(command, "VERSION") == 0) return fputs(VERSION_ANSWER, stdout) < 0;
    /* The rules go with the namespace: there is nothing to be undone, and nobody has to be there for it. */
    if (strcmp(command, "DEL") == 0 || strcmp(command, "GC") == 0) return 0;
    if (strcmp(command, "ADD") != 0 && strcmp(command, "CHECK") != 0 && strcmp(command, "STATUS") != 0)
        refuse(BAD_VARIABLES, "CNI_COMMAND is none that is known", "");

    signal(SIGPIPE, SIG_IGN);
    const char *path = getenv("CNI_NETNS");
    int namespace = -1;
    if (path != NULL && *path != 0) {
        namespace = open(path, O_RDONLY | O_CLOEXEC);
        if (namespace < 0)
            refuse(IO_FAILED, "the network namespace of CNI_NETNS cannot be opened", strerror(errno));
    }
    int agent = connect_to_agent(command);
    /* An agent that refuses early ends the stream, and has said why. */
    if (send_namespace(agent, namespace) < 0 || send_variables(agent) < 0 || send_configuration(agent) < 0)
        if (errno != EPIPE && errno != ECONNRESET) agent_is_away(command);
    return print_answer(agent, command);
}
