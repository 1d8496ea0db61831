"""HTTP/1 heads: bytes in, spans out; no I/O, no Python objects (RFC 9112, 9110).

Everything ambiguous or malformed is rejected with a ParseFault; the caller answers with its status or aborts.
Verdicts do not depend on how the bytes arrive: any split of the same bytes gives the same head or the same
fault.
"""

from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.http1.faults cimport ParseFault, parse_fault_status, parse_fault_text

# All three return the number of bytes of the head, with the empty line; 0 when it is incomplete (call again
# with more bytes from the same start); or -ParseFault.

# Request: fills head (method, target form, authority, path, version, fields, framing). Skips at most one
# leading CRLF. `p` may be partial; `scanned` is in/out (0 for a new head): bytes already known to hold no
# complete head, so that byte-by-byte feeding stays linear.
cdef int parse_request(const char* p, size_t n, size_t* scanned, Head head, Limits limits) noexcept
# Response: `request_method` (a Method) decides body framing (RFC 9112 6.3).
cdef int parse_response(
    const char* p, size_t n, size_t* scanned, Head head, Limits limits, int request_method,
) noexcept
# Trailer section: fields up to and including the empty line. Framing, routing and connection fields are
# flagged dropped.
cdef int parse_trailers(const char* p, size_t n, size_t* scanned, Head trailers, Limits limits) noexcept
