"""Which protocol a client speaks, from its first bytes."""

cdef enum Protocol:
    PROTO_MORE = 0        # undecided: wait for more bytes (bounded by the caller: 1024 bytes or the timeout => opaque)
    PROTO_HTTP1
    PROTO_HTTP2
    PROTO_TLS             # a ClientHello record header
    PROTO_OPAQUE

# HTTP/2: the first 14 bytes of the client preface. HTTP/1: a request line (method token, SP, target, version). What may still become one of them is MORE,
# what cannot is opaque at once: a client that sends "GE", pauses, then "T / HTTP/1.1" speaks HTTP/1.
cdef Protocol detect(const char* p, size_t n) noexcept nogil
