"""Signatures of tokens (RFC 7518 section 3, RFC 8037), by OpenSSL."""

from cython cimport final
from linkerd2_py._ext.jwt.libcrypto cimport EVP_PKEY

@final
cdef class PublicKey:
    """Immutable. It can do nothing but verify, and only what its kind is for."""
    cdef EVP_PKEY* key                # owned
    cdef readonly str kind            # "RSA", "P-256", "P-384", "P-521" or "Ed25519"
