/* Chunked bodies of HTTP/1, byte by byte except for the data. */
#include "load.h"

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static bool end_size(struct chunks *chunks)
{
    if (!chunks->digits)
        return false;
    chunks->digits = 0;
    chunks->line_length = 0;
    chunks->stage = chunks->left ? CHUNK_DATA : CHUNK_TRAILERS;
    return true;
}

/* One byte that is not data; false when it cannot stand here. */
static bool take_byte(struct chunks *chunks, char c)
{
    switch (chunks->stage) {
    case CHUNK_SIZE:
        if (c == '\n')
            return end_size(chunks);
        if (digit_of(c) >= 0) {
            chunks->left = chunks->left * 16 + digit_of(c);
            return ++chunks->digits <= 12;
        }
        chunks->stage = CHUNK_EXTENSION;
        return c == '\r' || c == ';' || c == ' ';
    case CHUNK_EXTENSION:
        return c != '\n' || end_size(chunks);
    case CHUNK_DATA_END:
        if (c == '\n')
            chunks->stage = CHUNK_SIZE;
        return c == '\r' || c == '\n';
    case CHUNK_TRAILERS:
        if (c == '\n') {
            if (!chunks->line_length)
                chunks->stage = CHUNK_DONE;
            chunks->line_length = 0;
        } else if (c != '\r') {
            chunks->line_length++;
        }
        return true;
    default:
        return false;
    }
}

long chunks_take(struct chunks *chunks, const char *bytes, size_t size, chunk_data *data, struct connection *connection)
{
    size_t at = 0;
    while (at < size && chunks->stage != CHUNK_DONE) {
        if (chunks->stage != CHUNK_DATA) {
            if (!take_byte(chunks, bytes[at++]))
                return -1;
            continue;
        }
        size_t piece = size - at < (size_t)chunks->left ? size - at : (size_t)chunks->left;
        if (!data(connection, bytes + at, piece))
            return (long)size;
        at += piece;
        chunks->left -= (int64_t)piece;
        if (!chunks->left)
            chunks->stage = CHUNK_DATA_END;
    }
    return (long)at;
}
