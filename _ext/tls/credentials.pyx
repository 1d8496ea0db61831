# cython: language_level=3
"""Credentials are checked whole when they are made, as a peer would check them: what cannot be presented is
not installed."""

from libc.time cimport time

from linkerd2_py._ext.core.debug cimport LIVE_CREDENTIALS, born, gone
from linkerd2_py._ext.tls.names cimport certified_name
from linkerd2_py._ext.tls.openssl cimport *
from linkerd2_py._ext.tls.party cimport wire
from linkerd2_py._ext.tls.terms cimport agree

cdef enum:
    # A mesh has one, two while it exchanges them; what is far more is no list of anchors but a bundle of the
    # web's.
    ANCHORS_MAX = 64
    # A leaf, an issuer and what an operator may put between it and the anchor.
    CHAIN_MAX = 5
    # Peers' leaves that are remembered as verified: more than one proxy talks to between two rotations.
    CHECKED_MAX = 4096
    # Far more than any certificate of a workload has; what is larger is not parsed.
    CERTIFICATE_BYTES = 65536
    DIGEST_BYTES = 32                  # SHA-256
    NO_USAGES_SAID = 0xFFFFFFFF        # OpenSSL's UINT32_MAX


class CredentialsError(ValueError):
    """They cannot be used; the text is one line that says why and never holds key material."""


cdef str last_error():
    cdef const char* reason = ERR_reason_error_string(ERR_peek_error())
    ERR_clear_error()
    return "unknown error" if reason == NULL else reason.decode("ascii", "replace")


cdef double seconds_of(const ASN1_TIME* moment) except -1:
    """Unix seconds of a certificate's time."""
    cdef ASN1_TIME* epoch = ASN1_TIME_set(NULL, 0)
    cdef int days = 0, seconds = 0
    cdef int done = ASN1_TIME_diff(&days, &seconds, epoch, moment)
    ASN1_TIME_free(epoch)
    if not done:
        raise CredentialsError("the certificate has a time that cannot be read")
    return days * 86400.0 + seconds


cdef class Certificates:
    """Parsed certificates, freed together."""
    cdef list handles             # addresses of X509, owned

    def __cinit__(self):
        self.handles = []

    def __dealloc__(self):
        for handle in self.handles:
            X509_free(<X509*> <size_t> handle)

    cdef int keep(self, X509* cert) except -1:
        self.handles.append(<size_t> cert)
        return 0

    cdef X509* at(self, int index) except NULL:
        return <X509*> <size_t> self.handles[index]

    cdef int count(self):
        return len(self.handles)


cdef Certificates parse_chain(object chain):
    cdef Certificates found = Certificates()
    cdef const unsigned char* cursor
    cdef bytes der
    cdef X509* cert
    for one in chain:
        der = bytes(one)
        cursor = der
        cert = d2i_X509(NULL, &cursor, len(der)) if len(der) <= CERTIFICATE_BYTES else NULL
        if cert == NULL:
            ERR_clear_error()
            raise CredentialsError(f"certificate {found.count() + 1} of the chain is not X.509 in DER")
        found.keep(cert)
    if not 0 < found.count() <= CHAIN_MAX:
        raise CredentialsError(f"a chain has 1 to {CHAIN_MAX} certificates, not {found.count()}")
    return found


cdef Certificates parse_anchors(bytes pem):
    cdef Certificates found = Certificates()
    cdef BIO* reader = BIO_new_mem_buf(<const char*> pem, <int> len(pem))
    cdef X509* cert
    try:
        while found.count() <= ANCHORS_MAX:
            # A passphrase that is no secret: without one the library would ask the terminal.
            cert = PEM_read_bio_X509(reader, NULL, NULL, <void*> b"")
            if cert == NULL:
                break
            found.keep(cert)
    finally:
        BIO_free(reader)
        ERR_clear_error()
    if pem.count(b"-----BEGIN CERTIFICATE-----") != found.count():
        raise CredentialsError("the trust anchors hold a certificate that cannot be read")
    if not 0 < found.count() <= ANCHORS_MAX:
        raise CredentialsError(
            f"the trust anchors are 1 to {ANCHORS_MAX} certificates in PEM, not {found.count()}"
        )
    return found


cdef class Credentials:

    def __cinit__(self):
        self.server = self.client = NULL
        self.checked = {}
        born(LIVE_CREDENTIALS)

    def __dealloc__(self):
        # Connections made from them hold references of OpenSSL's own.
        SSL_CTX_free(self.server)
        SSL_CTX_free(self.client)
        gone(LIVE_CREDENTIALS)

    def __init__(
        self, *, str name not None, bytes key=None, object chain=(), bytes anchors not None,
    ):
        cdef Certificates trusted = parse_anchors(anchors)
        cdef X509_STORE* store = make_store(trusted)
        self.name = name
        try:
            if key is None:
                self.client = prepare(SSL_CTX_new(TLS_client_method()), store)
            else:
                self.certify(key, chain, store)
        finally:
            X509_STORE_free(store)
            ERR_clear_error()

    cdef int certify(self, bytes key, object chain, X509_STORE* store) except -1:
        cdef Certificates certificates = parse_chain(chain)
        cdef EVP_PKEY* private = NULL
        cdef str name = self.name
        try:
            private = parse_key(key)
            if certified_name(certificates.at(0)) != name.encode():
                raise CredentialsError(f"the certificate is not for {name} alone")
            if not is_leaf(certificates.at(0)):
                raise CredentialsError(
                    "the certificate is an authority's, or does not say what it may be used for"
                )
            if X509_check_private_key(certificates.at(0), private) != 1:
                raise CredentialsError("the certificate is for another key")
            self.server = prepare(SSL_CTX_new(TLS_server_method()), store)
            self.client = prepare(SSL_CTX_new(TLS_client_method()), store)
            # Whoever is asked, as a server and as a client.
            verify(certificates, store, b"ssl_server", SSL_CTX_get_security_level(self.client))
            level = SSL_CTX_get_security_level(self.server)
            self.not_before, self.not_after = verify(certificates, store, b"ssl_client", level)
            present(self.server, certificates, private)
            present(self.client, certificates, private)
        finally:
            EVP_PKEY_free(private)
        return 0

    def __repr__(self):
        return f"<Credentials of {self.name}>"

    cdef bytes judge(self, X509_STORE_CTX* checking, bint is_client):
        cdef unsigned char digest[DIGEST_BYTES]
        cdef X509* leaf = X509_STORE_CTX_get0_cert(checking)
        cdef bytes key, identity
        if leaf == NULL or X509_digest(leaf, EVP_sha256(), digest, NULL) != 1:
            X509_STORE_CTX_set_error(checking, X509_V_ERR_UNSPECIFIED)
            return None
        # What may act as a client may not have to be a server.
        key = digest[:DIGEST_BYTES] + (b"c" if is_client else b"s")
        identity = self.remembered(key)
        if identity is not None:
            X509_STORE_CTX_set_error(checking, X509_V_OK)
            return identity
        if X509_verify_cert(checking) != 1:
            return None
        if not is_leaf(leaf):
            X509_STORE_CTX_set_error(checking, X509_V_ERR_INVALID_PURPOSE)
            return None
        identity = certified_name(leaf)
        if identity is None:
            X509_STORE_CTX_set_error(checking, X509_V_ERR_HOSTNAME_MISMATCH)
            return None
        self.remember(key, identity, checking)
        return identity

    cdef bytes remembered(self, bytes digest):
        """A leaf that was verified already, while no certificate of its chain has ended: checking signatures
        again costs more than all the rest."""
        found = self.checked.get(digest)
        if found is None:
            return None
        identity, end = found
        if time(NULL) < <double> end:
            return identity
        del self.checked[digest]
        return None

    cdef int remember(self, bytes digest, bytes identity, X509_STORE_CTX* checking) except -1:
        cdef stack_of_x509* chain = X509_STORE_CTX_get0_chain(checking)
        if len(self.checked) >= CHECKED_MAX:
            self.checked.clear()
        end = min(seconds_of(X509_get0_notAfter(sk_X509_value(chain, i))) for i in range(sk_X509_num(chain)))
        self.checked[digest] = (identity, end)
        return 0


cdef bint is_leaf(X509* cert) noexcept:
    """What the authority of a mesh signs for a workload: no authority, and its usages are said.

    Which they must be, the verification asks.
    """
    if X509_get_extension_flags(cert) & EXFLAG_CA:
        return False
    return X509_get_extended_key_usage(cert) != NO_USAGES_SAID


cdef EVP_PKEY* parse_key(bytes der) except NULL:
    cdef const unsigned char* cursor = der
    cdef EVP_PKEY* key = d2i_AutoPrivateKey(NULL, &cursor, len(der))
    if key == NULL:
        ERR_clear_error()
        raise CredentialsError("the key is not PKCS#8 in DER")
    return key


cdef X509_STORE* make_store(Certificates trusted) except NULL:
    cdef X509_STORE* store = X509_STORE_new()
    if store == NULL:
        raise MemoryError
    # Any certificate that the operator names is an anchor, self-signed or not (as in linkerd2-proxy).
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN)
    X509_STORE_set_depth(store, CHAIN_MAX)
    X509_STORE_set_get_issuer(store, find_issuer)
    for i in range(trusted.count()):
        X509_STORE_add_cert(store, trusted.at(i))
    return store


cdef int find_issuer(X509** issuer, X509_STORE_CTX* checking, X509* cert) noexcept:
    """The anchor that signed.

    While anchors are exchanged two may have one name, and where no key identifiers tell them apart the
    library would take the first.
    """
    cdef int found = X509_STORE_CTX_get1_issuer(issuer, checking, cert)
    cdef stack_of_x509* others
    if found != 1 or X509_verify(cert, X509_get0_pubkey(issuer[0])) == 1:
        return found
    others = X509_STORE_CTX_get1_certs(checking, X509_get_issuer_name(cert))
    for i in range(sk_X509_num(others)):
        if X509_verify(cert, X509_get0_pubkey(sk_X509_value(others, i))) == 1:
            X509_free(issuer[0])
            issuer[0] = sk_X509_value(others, i)
            X509_up_ref(issuer[0])
            break
    sk_X509_pop_free(others, X509_free)
    ERR_clear_error()
    return found


cdef tuple verify(Certificates certificates, X509_STORE* store, const char* purpose, int level):
    """(begin, end) of the chain that leads from the leaf to an anchor; CredentialsError if peers would find
    none, or none that is valid now."""
    cdef X509_STORE_CTX* checking = X509_STORE_CTX_new()
    cdef stack_of_x509* untrusted = sk_X509_new_null()
    cdef stack_of_x509* chain
    cdef const char* reason
    try:
        for i in range(1, certificates.count()):
            sk_X509_push(untrusted, certificates.at(i))
        if X509_STORE_CTX_init(checking, store, certificates.at(0), untrusted) != 1:
            raise MemoryError
        X509_STORE_CTX_set_default(checking, purpose)
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(checking), level)
        if X509_verify_cert(checking) != 1:
            reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(checking))
            raise CredentialsError(
                f"the certificate does not lead to a trust anchor: {reason.decode('ascii', 'replace')}"
            )
        chain = X509_STORE_CTX_get0_chain(checking)
        certs = range(sk_X509_num(chain))
        return (
            max(seconds_of(X509_get0_notBefore(sk_X509_value(chain, i))) for i in certs),
            min(seconds_of(X509_get0_notAfter(sk_X509_value(chain, i))) for i in certs),
        )
    finally:
        sk_X509_free(untrusted)
        X509_STORE_CTX_free(checking)


cdef SSL_CTX* prepare(SSL_CTX* ctx, X509_STORE* store) except NULL:
    if ctx == NULL:
        raise MemoryError
    try:
        agree(ctx)
        wire(ctx)
    except BaseException:
        SSL_CTX_free(ctx)
        raise
    SSL_CTX_set1_cert_store(ctx, store)
    return ctx


cdef int present(SSL_CTX* ctx, Certificates certificates, EVP_PKEY* key) except -1:
    """The chain, in order, is what peers are sent."""
    cdef bint done = SSL_CTX_use_certificate(ctx, certificates.at(0)) == 1
    done = done and SSL_CTX_use_PrivateKey(ctx, key) == 1
    for i in range(1, certificates.count()):
        done = done and SSL_CTX_add1_chain_cert(ctx, certificates.at(i)) == 1
    if not done:
        raise CredentialsError(f"the certificate cannot be presented: {last_error()}")
    return 0
