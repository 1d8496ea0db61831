# cython: language_level=3
"""Python doors to the HTTP/1 parser for tests and fuzzers; not part of a wheel."""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport FIELD_DROPPED, Field, Head, drop_head, field_id, method_id, parse_length, take_head
from linkerd2_py._ext.exchange.limits cimport Limits
from linkerd2_py._ext.http1.body cimport Body, body_begin, body_next
from linkerd2_py._ext.http1.faults cimport PARSE_FAULTS, parse_fault_status, parse_fault_text
from linkerd2_py._ext.http1.parser cimport parse_request, parse_response

METHODS = ("OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT")
FORMS = ("origin", "absolute", "authority", "asterisk")
VERSIONS = ("1.0", "1.1", "2")
BODIES = ("none", "length", "chunked", "until_close")

cdef Limits default_limits = Limits()


class ParseError(ValueError):
    """A rejected message: `.status` a client would be told, `.text` why."""

    def __init__(self, int fault):
        self.fault = fault
        self.status = parse_fault_status(fault)
        self.text = parse_fault_text(fault).decode()
        super().__init__(f"{self.status} {self.text}")


cdef class Bytes:
    """An exact-size copy, so that a read past the end is one that a sanitizer sees."""
    cdef char* mem
    cdef size_t size

    def __cinit__(self, bytes content):
        self.size = len(content)
        self.mem = <char*> malloc(self.size or 1)
        if self.mem == NULL:
            raise MemoryError
        memcpy(self.mem, <char*> content, self.size)

    def __dealloc__(self):
        free(self.mem)


cdef bytes text(Span span):
    return span.ptr[:span.len]


cdef dict described(Head head):
    cdef Field* field
    cdef int i
    cdef list kept = [], dropped = []
    for i in range(head.count):
        field = &head.fields[i]
        pair = (field.name[:field.name_len], field.value[:field.value_len])
        (dropped if field.flags & FIELD_DROPPED else kept).append(pair)
    return {
        "version": VERSIONS[head.version], "fields": kept, "dropped": dropped,
        "content_length": head.content_length, "chunked": bool(head.chunked), "end": bool(head.end),
        "wants_close": bool(head.wants_close), "upgrade": bool(head.upgrade),
    }


cdef dict request_of(Head head):
    found = described(head)
    found.update(
        method=text(head.method), method_id=METHODS[head.method_id], form=FORMS[head.form], scheme=text(head.scheme),
        authority=text(head.authority), path=text(head.path), target=text(head.target), expect_continue=bool(head.expect_continue),
    )
    return found


cdef dict response_of(Head head):
    found = described(head)
    found.update(status=head.status, reason=text(head.reason), close_delimited=bool(head.close_delimited))
    return found


cdef int run_head(Bytes message, Head head, Limits limits, int step, int method, bint request) except? -9999:
    """The parser's answer when bytes arrive `step` at a time (0: all at once)."""
    cdef size_t scanned = 0
    cdef size_t n = message.size if step == 0 else 0
    cdef int answer
    while True:
        if step:
            n = min(n + step, message.size)
        if request:
            answer = parse_request(message.mem, n, &scanned, head, limits)
        else:
            answer = parse_response(message.mem, n, &scanned, head, limits, method)
        if answer or n == message.size:
            return answer


def parse_request_bytes(bytes message, *, Limits limits=default_limits, int step=0):
    """The head at the start of `message` as a dict with `length`, None if incomplete; raises ParseError."""
    cdef Head head = take_head()
    try:
        return parse_door(message, head, limits, step, 0, True)
    finally:
        drop_head(head)


def parse_response_bytes(bytes message, *, bytes method=b"GET", Limits limits=default_limits, int step=0):
    """As parse_request_bytes, for the response to a request with `method`."""
    cdef Head head = take_head()
    try:
        return parse_door(message, head, limits, step, method_id(method, len(method)), False)
    finally:
        drop_head(head)


cdef object parse_door(bytes message, Head head, Limits limits, int step, int method, bint request):
    cdef Bytes copy = Bytes(message)
    cdef int answer = run_head(copy, head, limits, step, method, request)
    if answer < 0:
        raise ParseError(-answer)
    if answer == 0:
        return None
    found = request_of(head) if request else response_of(head)
    found["length"] = answer
    return found


def read_body(bytes message, *, bint chunked=False, int64_t length=-1, Limits limits=default_limits, int step=0):
    """(body, trailers kept, trailers dropped, bytes consumed, done) of a body section; raises ParseError."""
    cdef Body body
    cdef Head head = take_head()
    cdef Head trailers = take_head()
    cdef Bytes copy = Bytes(message)
    cdef Span out
    cdef size_t at = 0, n = copy.size if step == 0 else 0
    cdef int64_t used
    cdef list runs = []
    head.chunked = chunked
    head.content_length = length
    try:
        body_begin(&body, head)
        while not body.done:
            used = body_next(&body, copy.mem + at, n - at, &out, trailers, limits)
            if used < 0:
                raise ParseError(<int> -used)
            if out.len:
                runs.append(out.ptr[:out.len])
            at += used
            if used == 0:
                if n == copy.size:
                    break
                n = min(n + step, copy.size)
        found = described(trailers)
        return b"".join(runs), found["fields"], found["dropped"], at, bool(body.done)
    finally:
        drop_head(head)
        drop_head(trailers)


def faults():
    """Every (fault, status, text), for a test that looks at all of them."""
    return [(fault, parse_fault_status(fault), parse_fault_text(fault).decode()) for fault in range(1, PARSE_FAULTS)]


def name_id(bytes name):
    return field_id(name, len(name))


def length_of(bytes value):
    return parse_length(value, len(value))


def parse_many(bytes message, int rounds, *, bint request=True):
    """Parses the same head again and again: for instruction counts."""
    cdef Head head = take_head()
    cdef Bytes copy = Bytes(message)
    cdef size_t scanned
    cdef int i, answer = 0
    for i in range(rounds):
        scanned = 0
        head.reset()
        if request:
            answer = parse_request(copy.mem, copy.size, &scanned, head, default_limits)
        else:
            answer = parse_response(copy.mem, copy.size, &scanned, head, default_limits, 1)
    drop_head(head)
    return answer
