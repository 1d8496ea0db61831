/* Request bytes that are the same each time, and the pattern that bodies are made of. */
#include "load.h"

struct text request;

/* Long enough to compare a full receive buffer at any offset of the period. */
static char pattern[PATTERN_PERIOD + RECEIVE_SIZE];

void prepare_pattern(void)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = body_byte(i);
}

bool matches_pattern(const char *bytes, size_t size, int64_t offset)
{
    return memcmp(bytes, pattern + offset % PATTERN_PERIOD, size) == 0;
}

void *allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        die("out of memory: cannot have %zu bytes", size);
    return memory;
}

struct text text_of(const char *head, size_t head_size, int64_t body_size)
{
    char *bytes = allocate(head_size + (size_t)body_size);
    memcpy(bytes, head, head_size);
    for (int64_t i = 0; i < body_size; i++)
        bytes[head_size + (size_t)i] = body_byte((size_t)i);
    return (struct text){bytes, head_size + (size_t)body_size};
}

void set_output(struct connection *connection, const struct text *output)
{
    connection->output = output;
    connection->sent = 0;
}

/* Edge-triggered epoll tells of room only after a send that found none, so this goes on until EAGAIN. */
void send_output(struct connection *connection)
{
    const struct text *output = connection->output;
    while (output && connection->sent < output->size) {
        ssize_t taken = connection_send(connection, output->bytes + connection->sent, output->size - connection->sent);
        if (taken >= 0) {
            connection->sent += (size_t)taken;
        } else if (errno == EAGAIN) {
            connection->blocked = true;
            return;
        } else if (errno != EINTR) {
            connection_fail(connection, kind_of(errno));
            return;
        }
    }
    connection->blocked = false;
}
