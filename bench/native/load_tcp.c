/* TCP: the bytes that are sent come back. With tcp-connect each byte has a connection of its own. */
#include "load.h"

static void prepare(void)
{
    request = text_of("", 0, options.request_bytes);
}

static void prepare_byte(void)
{
    options.request_bytes = 1;
    prepare();
}

static void begin(struct exchange *exchange)
{
    exchange->connection->received = 0;
    set_output(exchange->connection, &request);
}

static void receive(struct connection *connection, const char *bytes, size_t size)
{
    if (!connection->busy || connection->received + (int64_t)size > options.request_bytes)
        return connection_fail(connection, LEFTOVER);
    if (!matches_pattern(bytes, size, connection->received))
        return connection_fail(connection, BODY);
    connection->received += (int64_t)size;
    if (connection->received == options.request_bytes)
        exchange_done(connection->exchanges);
}

static void release(struct connection *connection)
{
    connection->received = 0;
}

const struct protocol tcp_protocol = {
    .name = "tcp",
    .prepare = prepare,
    .connected = connection_ready,
    .begin = begin,
    .flush = send_output,
    .receive = receive,
    .closed = connection_closed,
    .release = release,
};

const struct protocol tcp_connect_protocol = {
    .name = "tcp-connect",
    .connects_each_time = true,
    .prepare = prepare_byte,
    .connected = connection_ready,
    .begin = begin,
    .flush = send_output,
    .receive = receive,
    .closed = connection_closed,
    .release = release,
};
