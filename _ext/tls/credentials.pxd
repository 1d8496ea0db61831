"""Who a workload is and whom it trusts: the two OpenSSL configurations that its connections are made from."""

from linkerd2_py._ext.tls.openssl cimport SSL_CTX, X509_STORE, X509_STORE_CTX

cdef class Credentials:
    cdef readonly str name
    # Unix seconds; of the verified chain: the latest begin, the earliest end.
    cdef readonly double not_before, not_after
    cdef SSL_CTX* server                  # owned; NULL: without a certificate nobody can be served
    cdef SSL_CTX* client                  # owned
    # sha256 of a peer's leaf and its role -> (identity, end): chains that lead to these anchors; bounded.
    cdef dict checked
    cdef int certify(self, bytes key, object chain, X509_STORE* store) except -1
    # The identity of a peer that acts as a client or as a server, once its chain leads to an anchor; None:
    # not trusted, and the error is in `checking`.
    cdef bytes judge(self, X509_STORE_CTX* checking, bint is_client)
    cdef bytes remembered(self, bytes digest)
    cdef int remember(self, bytes digest, bytes identity, X509_STORE_CTX* checking) except -1

# The oldest error that OpenSSL still remembers, in its words; the rest is forgotten.
cdef str last_error()
