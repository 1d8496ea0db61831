/* Heads of HTTP/1 responses. A head that comes whole is read where it lies. */
#include "load.h"

#include <strings.h>

enum { HEAD_LIMIT = 16 * 1024 };

long head_take(struct head *head, const char *bytes, size_t size, const char **text, size_t *used)
{
    if (!head->size) {
        const char *end = memmem(bytes, size, "\r\n\r\n", 4);
        if (end) {
            *text = bytes;
            *used = (size_t)(end - bytes) + 4;
            return (long)*used;
        }
    }
    size_t before = head->size, room = HEAD_LIMIT - before, taken = size < room ? size : room;
    if (!head->gathered)
        head->gathered = allocate(HEAD_LIMIT);
    memcpy(head->gathered + before, bytes, taken);
    head->size += taken;
    size_t from = before < 3 ? 0 : before - 3; /* the blank line may have begun in an earlier piece */
    const char *end = memmem(head->gathered + from, head->size - from, "\r\n\r\n", 4);
    if (!end)
        return head->size == HEAD_LIMIT ? -1 : 0;
    size_t whole = (size_t)(end - head->gathered) + 4;
    head->size = 0;
    *text = head->gathered;
    *used = whole - before;
    return (long)whole;
}

static bool is_named(struct text line, const char *name, struct text *value)
{
    size_t length = strlen(name);
    if (line.size <= length || line.bytes[length] != ':' || strncasecmp(line.bytes, name, length) != 0)
        return false;
    const char *start = line.bytes + length + 1, *end = line.bytes + line.size;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *value = (struct text){start, (size_t)(end - start)};
    return true;
}

static bool is_word(struct text value, const char *word)
{
    return value.size == strlen(word) && strncasecmp(value.bytes, word, value.size) == 0;
}

static bool read_length(struct text value, int64_t *length)
{
    if (!value.size || value.size > 15)
        return false;
    *length = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9')
            return false;
        *length = *length * 10 + (value.bytes[i] - '0');
    }
    return true;
}

static bool read_line(struct text line, struct head_fields *fields)
{
    struct text value;
    switch (line.bytes[0] | 0x20) { /* few lines begin with these letters */
    case 'c':
        if (is_named(line, "content-length", &value))
            return read_length(value, &fields->length);
        if (is_named(line, "connection", &value))
            fields->close = is_word(value, "close");
        return true;
    case 't':
        if (is_named(line, "transfer-encoding", &value))
            return (fields->chunked = is_word(value, "chunked"));
        return true;
    case 's':
        if (is_named(line, "sec-websocket-accept", &value))
            fields->accept = value;
        return true;
    default:
        return true;
    }
}

bool head_read(const char *text, size_t size, struct head_fields *fields)
{
    const char *end = text + size - 2; /* the blank line */
    *fields = (struct head_fields){.length = -1};
    if (size < 17 || memcmp(text, "HTTP/1.", 7) != 0 || text[8] != ' ')
        return false;
    for (int i = 9; i < 12; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        fields->status = fields->status * 10 + (text[i] - '0');
    }
    for (const char *line = memchr(text, '\n', size) + 1, *next; line < end; line = next) {
        next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
        if (next[-2] != '\r' || !read_line((struct text){line, (size_t)(next - line) - 2}, fields))
            return false;
    }
    return true;
}

void head_release(struct head *head)
{
    free(head->gathered);
    *head = (struct head){0};
}
