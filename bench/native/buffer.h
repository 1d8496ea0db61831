/* Bytes that wait: appended at the end, taken from the front, kept in one piece of memory that grows when it must. */
#ifndef BUFFER_H
#define BUFFER_H

#include "bench.h"

/* Memory above this is given back once the buffer is empty. */
#define BUFFER_KEPT (64 << 10)

struct buffer {
    char *memory;
    size_t start, end, capacity;
};

static inline size_t buffer_size(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline char *buffer_bytes(const struct buffer *buffer)
{
    return buffer->memory ? buffer->memory + buffer->start : NULL;
}

/* Room for `size` more bytes at the end. */
static inline void buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t held = buffer_size(buffer);
    if (buffer->capacity - buffer->end >= size)
        return;
    if (held)
        memmove(buffer->memory, buffer->memory + buffer->start, held);
    buffer->start = 0;
    buffer->end = held;
    if (buffer->capacity - held >= size)
        return;
    size_t capacity = buffer->capacity ? buffer->capacity : 1024;
    while (capacity - held < size)
        capacity *= 2;
    buffer->memory = realloc(buffer->memory, capacity);
    if (!buffer->memory)
        die("out of memory for a buffer of %zu bytes", capacity);
    buffer->capacity = capacity;
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
    if (!size)
        return;
    buffer_reserve(buffer, size);
    memcpy(buffer->memory + buffer->end, bytes, size);
    buffer->end += size;
}

/* Forgets the first `size` bytes. */
static inline void buffer_take(struct buffer *buffer, size_t size)
{
    buffer->start += size;
    if (buffer->start < buffer->end)
        return;
    buffer->start = buffer->end = 0;
    if (buffer->capacity > BUFFER_KEPT) {
        free(buffer->memory);
        buffer->memory = NULL;
        buffer->capacity = 0;
    }
}

static inline void buffer_clear(struct buffer *buffer)
{
    buffer_take(buffer, buffer_size(buffer));
}

#endif
