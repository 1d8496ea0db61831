# cython: language_level=3
"""Python doors to matchers and events. Not part of a wheel."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport HTTP_2, HTTP_11, Head, field_id, method_id
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.tap.events cimport (
    EVENT_ENDED, EVENT_ENDED_IN_GRPC, EVENT_RESET, Ending, EventId, is_secret, put_end, put_ends, put_fields,
    put_request, put_response,
)
from linkerd2_py._ext.tap.match cimport Facts, Matcher
from linkerd2_py._ext.core.wire cimport Wire

cdef dict ENDS = {"ended": EVENT_ENDED, "grpc": EVENT_ENDED_IN_GRPC, "reset": EVENT_RESET}


cdef Span span_of(bytes text):
    cdef Span span
    span.ptr, span.len = text, len(text)
    return span


cdef class Message:
    """A head, and the bytes that its spans point into."""
    cdef Head head
    cdef list kept

    def __init__(
        self, *, bytes method=b"GET", bytes scheme=b"", bytes authority=b"", bytes path=b"/", fields=(),
        bint http2=False,
    ):
        cdef bytes name, value
        self.kept = [method, scheme, authority, path]
        self.head = Head()
        self.head.version = HTTP_2 if http2 else HTTP_11
        self.head.method_id = method_id(method, len(method))
        self.head.method, self.head.scheme = span_of(method), span_of(scheme)
        self.head.authority, self.head.path = span_of(authority), span_of(path)
        for name, value in fields:
            self.kept += [name, value]
            self.head.add(name, len(name), value, len(value), field_id(name, len(name)), 0)


cdef Facts facts_of(
    Message message, Address source, Address destination, tuple own, tuple of_set, tuple route
):
    cdef Facts facts = Facts()
    facts.head = message.head
    facts.source, facts.destination = source, destination
    facts.own_labels, facts.set_labels, facts.route_labels = own, of_set, route
    return facts


def holds(
    Matcher matcher not None, Message message not None, *, Address source=None, Address destination=None,
    tuple own=None, tuple of_set=None, tuple route=None,
) -> bool:
    return matcher.holds(facts_of(message, source, destination, own, of_set, route))


def ends(
    *, Address source=None, Address destination=None, tuple own=None, tuple of_set=None, tuple route=None,
    tuple source_tls=None, tuple destination_tls=None, bint outbound=False,
) -> bytes:
    """What all events say."""
    cdef Wire wire = Wire()
    wire.most = 1 << 20
    facts = facts_of(Message(), source, destination, own, of_set, route)
    put_ends(wire, facts, source_tls, destination_tls, outbound)
    return wire.start[:wire.size]


cdef EventId id_of(uint32_t base, uint64_t stream) noexcept:
    cdef EventId id
    id.base, id.stream = base, stream
    return id


cdef bytes written(Wire wire):
    return None if wire.full else wire.start[:wire.size]


def request(
    Message message not None, *, uint32_t base=0, uint64_t stream=1, bint fields=False, size_t most=1 << 20,
) -> bytes | None:
    """None: it does not fit."""
    cdef Wire wire = Wire()
    wire.most = most
    put_request(wire, id_of(base, stream), message.head, fields)
    return written(wire)


def response(
    Message message, *, uint32_t status=200, int64_t since_ns=0, bint fields=False,
) -> bytes:
    cdef Wire wire = Wire()
    wire.most = 1 << 20
    put_response(wire, id_of(0, 1), since_ns, status, None if message is None else message.head, fields)
    return written(wire)


def end(
    str kind not None, *, uint32_t code=0, uint64_t response_bytes=0, int64_t since_request_ns=0,
    int64_t since_response_ns=-1, Message trailers=None,
) -> bytes:
    cdef Wire wire = Wire(), more = None
    cdef Ending ending
    wire.most = 1 << 20
    ending.kind, ending.code, ending.response_bytes = ENDS[kind], code, response_bytes
    ending.since_request_ns, ending.since_response_ns = since_request_ns, since_response_ns
    if trailers is not None:
        more = Wire()
        more.most = 1 << 20
        put_fields(more, trailers.head)
    put_end(wire, id_of(0, 1), ending, more)
    return written(wire)


def secret(bytes name not None) -> bool:
    return is_secret(name, len(name))
