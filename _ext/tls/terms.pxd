"""What every connection of the mesh agrees to."""

from linkerd2_py._ext.tls.openssl cimport SSL_CTX

# RuntimeError when the library cannot: then there is no mesh.
cdef int agree(SSL_CTX* ctx) except -1
