# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The callbacks. They find their party through a pointer in the SSL that the party itself frees, and raise
nothing."""

from libc.string cimport memcmp

from linkerd2_py._ext.tls.openssl cimport *

cdef enum:
    PARTY = 0       # the index of application data in every SSL

cdef const char* ALPN_HEADER = b"\x13transport.l5d.io/v1"
cdef const char* ALPN_HTTP2 = b"\x02h2"


cdef class Party:

    def __dealloc__(self):
        self.free()

    cdef bint judge(self, X509_STORE_CTX* checking) noexcept:
        return False

    cdef int begin(self, SSL_CTX* ctx) except -1:
        self.ssl = SSL_new(ctx)
        if self.ssl == NULL:
            raise MemoryError
        SSL_set_ex_data(self.ssl, PARTY, <void*> self)
        return 0

    cdef int free(self) noexcept:
        SSL_free(self.ssl)
        self.ssl = NULL
        return 0


cdef int on_verify(X509_STORE_CTX* checking, void* argument) noexcept:
    cdef SSL* ssl = <SSL*> X509_STORE_CTX_get_ex_data(checking, SSL_get_ex_data_X509_STORE_CTX_idx())
    cdef Party party = <Party> SSL_get_ex_data(ssl, PARTY)
    return party.judge(checking)


cdef int on_alpn(
    SSL* ssl,
    const unsigned char** chosen,
    unsigned char* size,
    const unsigned char* offered,
    unsigned int count,
    void* argument,
) noexcept:
    cdef Party party = <Party> SSL_get_ex_data(ssl, PARTY)
    cdef const char* wanted = ALPN_HTTP2 if party.takes == TAKES_HTTP2 else ALPN_HEADER
    cdef size_t length = ALPN_HTTP2_BYTES if party.takes == TAKES_HTTP2 else ALPN_HEADER_BYTES
    cdef unsigned int i = 0
    if party.takes == TAKES_NOTHING:
        return SSL_TLSEXT_ERR_NOACK
    while i < count:
        # OpenSSL has checked that each length stays inside.
        if offered[i] == length - 1 and memcmp(&offered[i], wanted, length) == 0:
            chosen[0] = &offered[i + 1]
            size[0] = offered[i]
            return SSL_TLSEXT_ERR_OK
        i += 1 + offered[i]
    return SSL_TLSEXT_ERR_NOACK


cdef int wire(SSL_CTX* ctx) except -1:
    SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL)
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL)
    return 0
