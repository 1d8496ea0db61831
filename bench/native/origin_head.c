/* Reading the head of an HTTP/1 request line by line. Strict: what is not plainly right is malformed. */
#include "origin_head.h"

#include <string.h>
#include <strings.h>

static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] == ':' || text[i] == 127)
            return false;
    return size > 0;
}

/* "METHOD target HTTP/1.x" */
static bool read_request_line(const char *line, size_t size, struct request_head *head)
{
    static const char version[] = " HTTP/1.";
    const size_t version_size = sizeof version; /* as long as with the digit */
    const char *space = memchr(line, ' ', size);
    if (!space || !is_token(line, space - line) || size < (size_t)(space - line) + 2 + version_size)
        return false;
    const char *last = line + size - version_size;
    char minor = line[size - 1];
    if (memcmp(last, version, sizeof version - 1) || (minor != '0' && minor != '1'))
        return false;
    if (memchr(space + 1, ' ', last - space - 1))
        return false;
    head->head_method = space - line == 4 && !memcmp(line, "HEAD", 4);
    head->close = minor == '0';
    return true;
}

static bool read_length(const char *value, size_t size, struct request_head *head)
{
    uint64_t length = 0;
    if (!size || size > 18)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9')
            return false;
        length = 10 * length + (value[i] - '0');
    }
    if (head->has_length && head->content_length != length)
        return false;
    head->has_length = true;
    head->content_length = length;
    return true;
}

static bool is(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && !strncasecmp(text, word, size);
}

/* Whether the comma-separated list has the word. */
static bool lists(const char *list, size_t size, const char *word)
{
    const char *end = list + size;
    while (list < end) {
        const char *comma = memchr(list, ',', end - list);
        const char *stop = comma ? comma : end, *last = stop;
        while (list < last && (*list == ' ' || *list == '\t'))
            list++;
        while (last > list && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if (is(list, last - list, word))
            return true;
        list = stop + 1;
    }
    return false;
}

static bool read_field(const char *line, size_t size, struct request_head *head)
{
    const char *colon = memchr(line, ':', size);
    if (!colon || !is_token(line, colon - line))
        return false;
    size_t name_size = colon - line;
    const char *value = colon + 1, *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t value_size = end - value;
    if (memchr(value, '\r', value_size) || memchr(value, 0, value_size))
        return false;

    if (is(line, name_size, "content-length"))
        return read_length(value, value_size, head);
    if (is(line, name_size, "transfer-encoding")) {
        bool first = !head->chunked;
        head->chunked = true;
        return first && is(value, value_size, "chunked");
    }
    if (is(line, name_size, "connection")) {
        if (lists(value, value_size, "close"))
            head->close = true;
        else if (lists(value, value_size, "keep-alive"))
            head->close = false;
    } else if (is(line, name_size, "upgrade")) {
        head->upgrade_websocket = is(value, value_size, "websocket");
    } else if (is(line, name_size, "sec-websocket-key")) {
        head->websocket_key = value;
        head->websocket_key_size = value_size;
    }
    return true;
}

long read_head(const char *text, size_t size, struct request_head *head)
{
    const char *line = text, *end = text + size;
    *head = (struct request_head){0};
    for (;;) {
        const char *feed = line < end ? memchr(line, '\n', end - line) : NULL;
        if (!feed)
            return size > MAX_HEAD_BYTES ? -1 : 0;
        if (feed == line || feed[-1] != '\r' || feed - text > MAX_HEAD_BYTES)
            return -1;
        size_t line_size = feed - 1 - line;
        if (line == text) {
            if (!read_request_line(line, line_size, head))
                return -1;
        } else if (!line_size) {
            return head->chunked && head->has_length ? -1 : feed + 1 - text;
        } else if (!read_field(line, line_size, head)) {
            return -1;
        }
        line = feed + 1;
    }
}
