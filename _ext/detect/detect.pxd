"""Which protocol a client speaks, from its first bytes."""

cdef enum Protocol:
    PROTO_MORE = 0        # undecided: wait for more bytes, or for the time to be over
    PROTO_HTTP1
    PROTO_HTTP2
    PROTO_TLS             # a ClientHello record header
    PROTO_OPAQUE

# HTTP/2: the first 14 bytes of the client preface. HTTP/1: a first line that ends in an HTTP version, however
# wrong the rest of it is, for what reaches a lenient server as HTTP must not go past us as something else;
# the parser refuses what is wrong. Any other line is opaque with its end: inline commands of Redis and
# memcached, SSH, SMTP. What is no line of text is opaque at once. Undecided bytes wait, LINE_MAX of them at
# most.
# Verdicts do not depend on how the bytes arrive, and none is taken back.
cdef Protocol detect(const char* p, size_t n) noexcept nogil
# The same where nothing but HTTP is spoken, over TLS or not: what begins neither TLS nor HTTP/2 is HTTP/1.
cdef Protocol detect_http(const char* p, size_t n) noexcept nogil
# Whether undecided bytes may still become a request. When the time is over they count as one: otherwise
# whoever waits longest decides how it is read.
cdef bint may_ask(const char* p, size_t n) noexcept nogil
