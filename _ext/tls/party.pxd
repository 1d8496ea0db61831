"""One end of a handshake, as OpenSSL's callbacks meet it."""

from linkerd2_py._ext.tls.openssl cimport SSL, SSL_CTX, X509_STORE_CTX

# What is agreed to, as a server, when a client offers it (ALPN).
cdef enum Takes:
    TAKES_NOTHING          # no protocol is agreed on: the first bytes say what is spoken
    TAKES_HEADER           # transport.l5d.io/v1
    TAKES_HTTP2            # h2, without which clients that are no proxies speak no gRPC over TLS

cdef class Party:
    # Lives longer than its SSL, which it owns and frees; the library calls only from inside its own calls.
    cdef SSL* ssl                         # owned; NULL when over
    cdef Takes takes                      # as a server
    # Whether the peer may be who it says; the error is in `checking` otherwise.
    cdef bint judge(self, X509_STORE_CTX* checking) noexcept
    cdef int begin(self, SSL_CTX* ctx) except -1               # makes `ssl`
    cdef int free(self) noexcept                               # idempotent

# Lets a configuration call back.
cdef int wire(SSL_CTX* ctx) except -1

cdef enum:
    ALPN_HEADER_BYTES = 20
# As ALPN carries it, its length in front.
cdef const char* ALPN_HEADER
cdef enum:
    ALPN_HTTP2_BYTES = 3
cdef const char* ALPN_HTTP2
