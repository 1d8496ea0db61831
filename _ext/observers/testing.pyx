# cython: language_level=3
"""Python doors to lines and to what the access log makes of a head. Not part of a wheel."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport HTTP_2, HTTP_11, Field, Head, field_id, method_id
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.observers.access_log cimport AccessLog, Entry
from linkerd2_py._ext.observers.lines cimport LINE_MOST as LINE, Lines
from linkerd2_py._ext.observers.trace_context cimport Trace, read_trace, write_span

LINE_MOST = LINE


cdef Head head_of(fields, list kept):
    cdef bytes name, value
    cdef Head head = Head()
    for name, value in fields:
        kept += [name, value]
        head.add(name, len(name), value, len(value), field_id(name, len(name)), 0)
    return head


def read(fields):
    """The trace's id, the sender's span and whether it is sampled, else neither; None: it says nothing."""
    cdef Trace trace
    kept = []
    if not read_trace(head_of(fields, kept), &trace):
        return None
    if not trace.sampled:
        return b"", b"", False
    return bytes(trace.trace_id[:16]), bytes(trace.parent_id[:8]), True


def renamed(fields, bytes span_id not None):
    """The fields as they go on with that span; None: they say nothing that is sampled."""
    cdef Trace trace
    cdef Field* field
    cdef int i
    kept = []
    cdef Head head = head_of(fields, kept)
    if not read_trace(head, &trace) or not trace.sampled:
        return None
    write_span(head, &trace, span_id)
    found = []
    for i in range(head.count):
        field = &head.fields[i]
        found.append((field.name[:field.name_len], field.value[:field.value_len]))
    return found


def put(Lines lines not None, bytes text not None) -> bool:
    cdef char* to = lines.begin()
    if to == NULL:
        return False
    memcpy(to, <const char*> text, len(text))
    lines.end(len(text))
    return True


def waiting(Lines lines not None) -> int:
    """Bytes that were not written yet."""
    return lines.size


def time_text(AccessLog log not None, int64_t wall_ns) -> bytes:
    cdef char[64] room
    cdef size_t n = log.put_time(room, wall_ns)
    return room[:n]


cdef Span span_of(bytes text):
    cdef Span span
    span.ptr, span.len = text, len(text)
    return span


def line(
    Loop loop not None, Lines lines not None, *, bint json, bytes method=b"GET", bytes scheme=b"",
    bytes authority=b"", bytes path=b"/", fields=(), bint http2=False, Address peer=None, bytes identity=None,
    int status=200, int64_t wall_ns=0, int64_t content_length=-1, int64_t response_length=-1,
) -> bytes:
    """What is written of a request with that head."""
    cdef AccessLog log = AccessLog(loop, lines, json=json)
    cdef Entry entry = Entry.__new__(Entry)
    cdef Head head = Head()
    cdef size_t before = lines.size
    cdef bytes name, value
    kept = []
    head.version = HTTP_2 if http2 else HTTP_11
    head.method_id = method_id(method, len(method))
    head.method, head.scheme, head.authority = span_of(method), span_of(scheme), span_of(authority)
    head.path = head.target = span_of(path)
    for name, value in fields:
        kept += [name, value]
        head.add(name, len(name), value, len(value), field_id(name, len(name)), 0)
    entry.log, entry.peer, entry.identity = log, peer, identity
    entry.version, entry.wall, entry.request_bytes = head.version, wall_ns, content_length
    entry.keep(head)
    entry.write(status, response_length)
    written = lines.start[before:lines.size]
    lines.size = before
    return written
