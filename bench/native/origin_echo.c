/* The raw TCP server, and the sending of whatever is echoed. `subject` of an answer is its number of bytes. */
#include "origin.h"

/* So much may wait for its time on one connection before reading stops. */
#define DELAYED_BYTES (1 << 20)

void echo_answer(struct connection *connection, uint32_t subject)
{
    connection->released += subject;
}

bool echo(struct connection *connection, const char *bytes, size_t size, uint32_t exchanges)
{
    ssize_t sent = 0;
    if (!connection->listener->queue && !buffer_size(&connection->output)) {
        sent = send_some(connection, bytes, size);
        if (sent < 0)
            return false;
    }
    buffer_append(&connection->output, bytes + sent, size - sent);
    respond(connection, (struct answer){.subject = size - sent, .exchanges = exchanges});
    return true;
}

bool echo_flush(struct connection *connection)
{
    if (connection->released) {
        ssize_t sent = send_some(connection, buffer_bytes(&connection->output), connection->released);
        if (sent < 0)
            return false;
        connection->released -= sent;
        buffer_take(&connection->output, sent);
    }
    connection->paused = buffer_size(&connection->output) > (connection->listener->queue ? DELAYED_BYTES : 0);
    return true;
}

static bool receive(struct connection *connection, char *bytes, size_t size)
{
    connection->listener->body_bytes += size;
    return echo(connection, bytes, size, 1);
}

const struct protocol tcp_protocol = {
    .name = "tcp",
    .receive = receive,
    .answer = echo_answer,
    .flush = echo_flush,
};
