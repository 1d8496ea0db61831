"""Header fields of an HTTP/1 head and what they decide: framing, persistence, what is hop-by-hop.

Works on bytes that `parser` has scanned: every line ends with CRLF and holds no control byte but HTAB.
"""

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport Field, Head

# How often the fields that decide something occurred; reset by parse_fields.
cdef struct Seen:
    int hosts, lengths, codings, connections, upgrades, tes, expects, hop_by_hop

# Fields from p up to the empty line that `end` follows, into head. 0 or -ParseFault.
cdef int parse_fields(const char* p, const char* end, Head head, Seen* seen, int max_fields) noexcept
# What is wrong with the name of one field line, which ends with CR LF: 0 or -ParseFault.
cdef int field_fault(const char* p) noexcept
# Host, framing, Connection, Upgrade and Expect of a request, after its request line was read. 0 or
# -ParseFault.
cdef int settle_request(Head head, Seen* seen) noexcept
cdef int settle_response(Head head, Seen* seen, int request_method) noexcept
# Whether any field is left to send.
cdef bint has_fields(Head trailers) noexcept
