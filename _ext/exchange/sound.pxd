"""What a sound message is, whatever carried it: HTTP/1, HTTP/2, or HTTP/1 within HTTP/2 (l5d-orig-proto).

Nobody else decides it, so that what one protocol refuses no other lets through. Codecs judge with this what
their own grammar leaves open, when they receive it: then a fault is the sender's, and told to the sender.
They add only what is theirs alone: HTTP/1 its lines and framing, HTTP/2 its pseudo-fields. Names (tokens)
and values (no control byte but HTAB) are read by the classes of core/scan in HTTP/1, and by the same rules
in libnghttp2; a test compares both.
"""

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport Field, Head, Method

# host, host:port or [v6]:port, without user information. The port may be empty ("name:" is valid, RFC 3986
# 3.2.3), unless one is required.
cdef bint is_authority(const char* p, const char* end, bint with_port) noexcept
# The same without a port, and without the colon before one.
cdef bint is_host(const char* p, const char* end) noexcept
# Origin-form, or `*` for OPTIONS; never with a fragment. Bytes above ASCII pass as they came.
cdef bint is_path(Span path, Method method) noexcept
# The two that a proxy may be asked for; case does not matter.
cdef bint is_scheme(Span scheme) noexcept
# A request that came as pseudo-fields: method, scheme, authority and path; CONNECT has the authority alone.
# An HTTP/1 parser finds the same out line by line.
cdef bint is_sound_request(Head head) noexcept
# Whether a head can be written as HTTP/1 without changing its meaning: for what no parser of ours has seen.
cdef bint is_writable(Head head) noexcept
# Flags what must not travel in a trailer section (RFC 9110 6.5.1): framing, routing, credentials, what is
# ours, and what imitates one of them.
cdef void settle_trailers(Head trailers) noexcept
cdef bint may_trail(const Field* field) noexcept
