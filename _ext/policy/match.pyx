# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Conditions: made once by the shell, held against each head."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy

from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, H_OTHER, HTTP_2, L5D_FIELDS, Field, equals_lower, field_id, same_token,
)
from linkerd2_py._ext.policy.regex cimport Regex, dfa_matches

cdef enum:
    STEPS_MAX = 4096          # of one condition
    DEPTH_MAX = 40            # of conditions in conditions
    HOST_MAX = 255            # RFC 1035 section 2.3.4
    END = -1                  # of a text that is decoded


cdef class Condition:
    def __init__(self):
        raise TypeError("conditions are made by the functions of this module")

    def __dealloc__(self):
        free(self.steps)

    @property
    def size(self):
        return self.count


# ---- making them

cdef Condition new_condition(uint32_t count):
    cdef Condition made = Condition.__new__(Condition)
    if count > STEPS_MAX:
        raise ValueError(f"a condition of more than {STEPS_MAX} steps")
    made.steps = <Step*> malloc(count * sizeof(Step))
    if made.steps == NULL:
        raise MemoryError
    made.count = count
    made.kept = []
    return made


cdef Condition leaf(StepKind kind, bytes text, bytes name=b""):
    cdef Condition made = new_condition(1)
    cdef Step* step = &made.steps[0]
    step.kind = <uint8_t> kind
    step.id = <uint8_t> id_of(kind, name)
    step.plain = b"^" not in name and b"~" not in name
    step.after = 1
    step.dfa = NULL
    step.name = PyBytes_AS_STRING(name)
    step.name_length = <uint32_t> PyBytes_GET_SIZE(name)
    step.text = PyBytes_AS_STRING(text)
    step.text_length = <uint32_t> PyBytes_GET_SIZE(text)
    made.kept += [text, name]
    return made


cdef int id_of(StepKind kind, bytes name) noexcept:
    cdef int found = H_OTHER
    if kind == STEP_HEADER or kind == STEP_HEADER_REGEX:
        found = field_id(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
    # The ids of our own names are those of others, too, that imitate them.
    return H_OTHER if <uint32_t> 1 << found & L5D_FIELDS else found


cdef Condition valued(StepKind exact, StepKind by_regex, object value, bytes name=b""):
    cdef Condition made
    cdef Regex regex
    if not isinstance(value, Regex):
        return leaf(exact, value, name)
    regex = value
    if regex.exact is not None:
        return leaf(exact, regex.exact, name)
    made = leaf(by_regex, b"", name)
    made.steps[0].dfa = &regex.dfa
    made.steps[0].text = PyBytes_AS_STRING(regex.prefix)
    made.steps[0].text_length = <uint32_t> PyBytes_GET_SIZE(regex.prefix)
    made.kept.append(regex)
    return made


cdef Condition joined(StepKind kind, list parts):
    cdef Condition made, part
    cdef uint32_t at = 1
    cdef uint32_t i
    made = new_condition(1 + min(sum([(<Condition?> part).count for part in parts]), STEPS_MAX))
    made.steps[0] = Step(<uint8_t> kind, H_OTHER, False, made.count, NULL, NULL, NULL, 0, 0)
    for part in parts:
        made.depth = max(made.depth, part.depth + 1)
        memcpy(&made.steps[at], part.steps, part.count * sizeof(Step))
        for i in range(at, at + part.count):
            made.steps[i].after += at
        at += part.count
        made.kept += part.kept
    if made.depth > DEPTH_MAX:
        raise ValueError(f"conditions are nested more than {DEPTH_MAX} times")
    return made


def all_of(parts):
    return joined(STEP_ALL, list(parts))


def any_of(parts):
    return joined(STEP_ANY, list(parts))


def inverse(Condition part not None):
    return joined(STEP_NOT, [part])


def path(bytes text not None):
    return leaf(STEP_PATH, text)


def path_prefix(bytes text not None):
    return leaf(STEP_PREFIX, text.removesuffix(b"/"))


def path_regex(Regex regex not None):
    return valued(STEP_PATH, STEP_PATH_REGEX, regex)


def host(bytes text not None):
    return leaf(STEP_HOST, host_name(text))


def host_below(bytes text not None):
    return leaf(STEP_HOST_BELOW, b"." + host_name(text))


cdef bytes host_name(bytes text):
    if len(text) > HOST_MAX:
        raise ValueError(f"a host of more than {HOST_MAX} bytes")
    return text.lower().removesuffix(b".")


def method(bytes name not None):
    return leaf(STEP_METHOD, name)


def header(bytes name not None, value not None):
    return valued(STEP_HEADER, STEP_HEADER_REGEX, value, name.lower())


def query(bytes name not None, value not None):
    return valued(STEP_QUERY, STEP_QUERY_REGEX, value, name)


def http2():
    return leaf(STEP_HTTP2, b"")


# ---- holding them against a head

cdef Key key_of(const Step* steps) noexcept:
    cdef Key key = Key(NULL, NULL)
    note_keys(steps, 0, &key)
    return key


cdef int note_keys(const Step* steps, uint32_t at, Key* key) noexcept:
    """The first of each kind, of a condition or of several that all must hold."""
    cdef const Step* step = &steps[at]
    if step.kind == STEP_ALL:
        at += 1
        while at < step.after:
            note_keys(steps, at, key)
            at = steps[at].after
    elif key.path == NULL and is_on_path(step):
        key.path = step
    elif key.host == NULL and (step.kind == STEP_HOST or step.kind == STEP_HOST_BELOW):
        key.host = step
    return 0


cdef uint32_t put_rest(
    const Step* steps, uint32_t at, const Key* key, Step* into, uint32_t count,
) noexcept:
    cdef const Step* step = &steps[at]
    cdef uint32_t i
    if step.kind == STEP_ALL:
        at += 1
        while at < step.after:
            count = put_rest(steps, at, key, into, count)
            at = steps[at].after
        return count
    if step == key.host or (step == key.path and step.kind != STEP_PATH_REGEX):
        return count
    for i in range(at, step.after):
        into[count + i - at] = steps[i]
        into[count + i - at].after += count - at
    return count + step.after - at


cdef bint is_on_path(const Step* step) noexcept:
    return step.kind == STEP_PATH or step.kind == STEP_PREFIX or step.kind == STEP_PATH_REGEX


cdef Line line_of(Head head) noexcept:
    cdef Line line
    cdef const char* mark = NULL
    line.path = head.path
    line.query.ptr = ""
    line.query.len = 0
    if head.path.len:
        mark = <const char*> memchr(head.path.ptr, c"?", head.path.len)
    if mark != NULL:
        line.path.len = mark - head.path.ptr
        line.query.ptr = mark + 1
        line.query.len = head.path.len - line.path.len - 1
    return line


cdef bint holds_at(const Step* steps, uint32_t at, Head head, const Line* line) noexcept:
    cdef const Step* step = &steps[at]
    cdef int kind = step.kind
    if kind == STEP_PATH:
        return is_text(line.path, step)
    elif kind == STEP_METHOD:
        return is_text(head.method, step)
    elif kind == STEP_PATH_REGEX:
        return dfa_matches(step.dfa, line.path.ptr, line.path.len)
    elif kind == STEP_PREFIX:
        return begins_with(line.path, step)
    elif kind == STEP_NOT:
        return not holds_at(steps, at + 1, head, line)
    elif kind == STEP_ALL or kind == STEP_ANY:
        return parts_hold(steps, at, head, line)
    elif kind == STEP_HEADER or kind == STEP_HEADER_REGEX:
        return some_header(step, head)
    elif kind == STEP_HOST or kind == STEP_HOST_BELOW:
        return is_host(host_of(head.authority), step)
    elif kind == STEP_HTTP2:
        return head.version == HTTP_2
    return some_parameter(step, line.query)


cdef bint parts_hold(const Step* steps, uint32_t at, Head head, const Line* line) noexcept:
    cdef uint32_t end = steps[at].after
    cdef bint wanted = steps[at].kind == STEP_ANY
    at += 1
    while at < end:
        if holds_at(steps, at, head, line) == wanted:
            return wanted
        at = steps[at].after
    return not wanted


cdef inline bint is_text(Span span, const Step* step) noexcept:
    return span.len == step.text_length and memcmp(span.ptr, step.text, span.len) == 0


cdef bint begins_with(Span path, const Step* step) noexcept:
    if path.len < step.text_length or memcmp(path.ptr, step.text, step.text_length):
        return False
    return path.len == step.text_length or path.ptr[step.text_length] == c"/"


cdef Span host_of(Span authority) noexcept:
    """Without its port, and without the dot at its end."""
    cdef Span host = authority
    while host.len and c"0" <= host.ptr[host.len - 1] <= c"9":
        host.len -= 1
    if host.len and host.ptr[host.len - 1] == c":":
        host.len -= 1
    else:
        host.len = authority.len
    if host.len and host.ptr[host.len - 1] == c".":
        host.len -= 1
    return host


cdef bint is_host(Span host, const Step* step) noexcept:
    cdef size_t length = step.text_length
    if step.kind == STEP_HOST_BELOW and host.len > length:
        host.ptr += host.len - length
        host.len = length
    elif step.kind == STEP_HOST_BELOW:
        return False
    return equals_lower(host.ptr, host.len, step.text, length)


cdef bint some_header(const Step* step, Head head) noexcept:
    cdef const Field* field
    cdef Span value
    cdef int i
    if step.id != H_OTHER and not head.present >> step.id & 1:
        return False
    for i in range(head.count):
        field = &head.fields[i]
        if field.name_len != step.name_length or field.flags & FIELD_DROPPED or not is_name(field, step):
            continue
        value.ptr = field.value
        value.len = field.value_len
        if step.kind == STEP_HEADER:
            if is_text(value, step):
                return True
        elif dfa_matches(step.dfa, value.ptr, value.len):
            return True
    return False


cdef inline bint is_name(const Field* field, const Step* step) noexcept:
    if step.id != H_OTHER:
        return field.id == step.id
    if step.plain:
        return same_token(field.name, step.name, step.name_length)
    return equals_lower(field.name, field.name_len, step.name, step.name_length)


# ---- parameters: NAME=VALUE&NAME=VALUE, each byte as itself or as %XX, a space as a plus

cdef bint some_parameter(const Step* step, Span query) noexcept:
    cdef const char* at = query.ptr
    cdef const char* end = query.ptr + query.len
    cdef const char* next
    while at < end:
        next = <const char*> memchr(at, c"&", end - at)
        if next == NULL:
            next = end
        if next > at and is_parameter(step, at, next):
            return True
        at = next + 1
    return False


cdef bint is_parameter(const Step* step, const char* at, const char* end) noexcept:
    cdef const char* value = <const char*> memchr(at, c"=", end - at) if at < end else NULL
    cdef const char* name_end = end if value == NULL else value
    value = end if value == NULL else value + 1
    if not is_decoded(at, name_end, step.name, step.name_length):
        return False
    if step.kind == STEP_QUERY:
        return is_decoded(value, end, step.text, step.text_length)
    return decoded_matches(step.dfa, value, end)


cdef int decoded(const char** at, const char* end) noexcept:
    """The next byte, or END."""
    cdef const char* p = at[0]
    cdef int high, low
    if p >= end:
        return END
    at[0] = p + 1
    if p[0] == c"+":
        return c" "
    if p[0] == c"%" and end - p > 2:
        high = digit(p[1])
        low = digit(p[2])
        if high >= 0 and low >= 0:
            at[0] = p + 3
            return high << 4 | low
    return <uint8_t> p[0]


cdef int digit(char byte) noexcept:
    if c"0" <= byte <= c"9":
        return byte - c"0"
    byte |= 0x20
    return byte - c"a" + 10 if c"a" <= byte <= c"f" else -1


cdef bint is_decoded(const char* at, const char* end, const char* text, size_t length) noexcept:
    cdef size_t i
    for i in range(length):
        if decoded(&at, end) != <uint8_t> text[i]:
            return False
    return at >= end


cdef bint decoded_matches(const Dfa* dfa, const char* at, const char* end) noexcept:
    cdef uint16_t state = dfa.start
    cdef int byte = decoded(&at, end)
    while byte != END:
        state = dfa.next[state + dfa.classes[byte]]
        if state == 0:
            return False
        byte = decoded(&at, end)
    return state >= dfa.accepting
