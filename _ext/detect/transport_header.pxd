"""The header that one proxy writes to another before a connection's bytes: for which port they are, and what
they speak. See proto/transport_header.proto."""

from linkerd2_py._ext.core.types cimport Span

cdef enum:
    # Bytes of a header that is read: preface, length and message; Linkerd's proxy reads as many.
    TRANSPORT_HEADER_MAX = 65536
    TRANSPORT_HEADER_ROOM = 292      # bytes of the longest that is written

cdef enum HeaderState:
    HEADER_MORE = 0       # right so far, and not all here. Never once TRANSPORT_HEADER_MAX bytes are here
    HEADER_OK
    HEADER_BROKEN         # none, or one that is not ours to guess at. More bytes change nothing

cdef enum SessionProtocol:
    SESSION_OPAQUE = 0    # bytes that nobody is to look at
    SESSION_HTTP1
    SESSION_HTTP2

cdef struct TransportHeader:
    int port              # 1 to 65535
    Span name             # borrowed from the bytes that were read; empty: the port is this workload's own
    SessionProtocol protocol
    size_t size           # bytes of the header: what follows belongs to the application

# `p`: the connection's bytes from the first one on. `header` holds something only with HEADER_OK.
#
# As protobuf has it, unknown fields are passed over, the last of repeated fields counts, and repeated
# messages merge. Stricter than protobuf, because readers differ in it or no writer does it: groups; a known
# field of another wire type; a port that its type would cut to size; a varint of more than 64 bits;
# a name that is no DNS name, with or without the root's dot.
cdef HeaderState read_transport_header(const char* p, size_t n, TransportHeader* header) noexcept nogil
# Bytes written to `dst`; 0, and nothing written, when `room` is too small or when port or name are none that
# `read_transport_header` would take.
cdef size_t write_transport_header(
    char* dst, size_t room, int port, const char* name, size_t name_len, SessionProtocol protocol
) noexcept nogil
