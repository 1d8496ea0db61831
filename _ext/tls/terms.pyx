# cython: language_level=3
"""The terms of linkerd2-proxy: TLS 1.3 only, three suites, no tickets.

What a peer could choose badly is not offered.
"""

from linkerd2_py._ext.tls.openssl cimport *

cdef enum:
    # Of a peer's chain, which is a leaf and an issuer of less than 1 KB each: so much and more.
    CERTIFICATE_LIST_BYTES = 65536

cdef const char* SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
# The hybrid group needs OpenSSL 3.5. Linkerd prefers it and takes any of these.
cdef const char* GROUPS_HYBRID = "X25519MLKEM768:X25519:P-256:P-384"
cdef const char* GROUPS = "X25519:P-256:P-384"
# Leaves are P-256; anchors and issuers may be what their operator likes.
cdef const char* SIGNATURES = (
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519"
    ":RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512"
)


cdef int agree(SSL_CTX* ctx) except -1:
    cdef bint agreed = (
        SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1
        and SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1
        and SSL_CTX_set_ciphersuites(ctx, SUITES) == 1
        and (SSL_CTX_set1_groups_list(ctx, GROUPS_HYBRID) == 1 or SSL_CTX_set1_groups_list(ctx, GROUPS) == 1)
        and SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == 1
        # A ticket would outlive the certificate it was given to: identities are proven with every connection.
        and SSL_CTX_set_num_tickets(ctx, 0) == 1
    )
    if not agreed:
        raise RuntimeError("OpenSSL cannot speak TLS 1.3 as the mesh does: 3.0 or later is needed")
    ERR_clear_error()
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE)
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF)
    # Idle connections hold no record buffers; the chain is sent as it was issued.
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN)
    SSL_CTX_set_max_cert_list(ctx, CERTIFICATE_LIST_BYTES)
    # Both sides ask for a certificate; only the client side insists, policy decides about the rest.
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL)
    return 0
