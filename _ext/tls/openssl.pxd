"""The part of OpenSSL (3.0 or a later 3.x) that TLS needs; names and meanings are the library's."""

from libc.time cimport time_t

cdef extern from "<openssl/err.h>":
    unsigned long ERR_get_error()
    unsigned long ERR_peek_error()
    unsigned long ERR_peek_last_error()
    void ERR_clear_error()
    const char* ERR_reason_error_string(unsigned long code)

cdef extern from "<openssl/bio.h>":
    ctypedef struct BIO:
        pass
    ctypedef struct BIO_METHOD:
        pass
    const int BIO_TYPE_SOURCE_SINK
    const int BIO_CTRL_FLUSH
    int BIO_get_new_index()
    BIO_METHOD* BIO_meth_new(int type, const char* name)
    int BIO_meth_set_write(BIO_METHOD* method, int (*write)(BIO*, const char*, int) noexcept)
    int BIO_meth_set_read(BIO_METHOD* method, int (*read)(BIO*, char*, int) noexcept)
    int BIO_meth_set_ctrl(BIO_METHOD* method, long (*ctrl)(BIO*, int, long, void*) noexcept)
    BIO* BIO_new(const BIO_METHOD* method)
    BIO* BIO_new_mem_buf(const void* buf, int len)
    int BIO_free(BIO* bio)
    void BIO_set_data(BIO* bio, void* data)
    void* BIO_get_data(BIO* bio)
    void BIO_set_init(BIO* bio, int init)
    void BIO_set_retry_read(BIO* bio)
    void BIO_set_retry_write(BIO* bio)
    void BIO_clear_retry_flags(BIO* bio)

cdef extern from "<openssl/evp.h>":
    ctypedef struct EVP_PKEY:
        pass
    ctypedef struct EVP_MD:
        pass
    const EVP_MD* EVP_sha256()
    void EVP_PKEY_free(EVP_PKEY* key)
    EVP_PKEY* d2i_AutoPrivateKey(EVP_PKEY** key, const unsigned char** der, long length)

cdef extern from "<openssl/asn1.h>":
    ctypedef struct ASN1_STRING:
        pass
    ctypedef struct ASN1_TIME:
        pass
    int ASN1_STRING_length(const ASN1_STRING* string)
    const unsigned char* ASN1_STRING_get0_data(const ASN1_STRING* string)
    int ASN1_TIME_diff(int* days, int* seconds, const ASN1_TIME* begin, const ASN1_TIME* end)
    ASN1_TIME* ASN1_TIME_set(ASN1_TIME* time, time_t moment)
    void ASN1_TIME_free(ASN1_TIME* time)

cdef extern from "<openssl/x509.h>":
    ctypedef struct X509:
        pass
    ctypedef struct X509_STORE:
        pass
    ctypedef struct X509_STORE_CTX:
        pass
    ctypedef struct X509_VERIFY_PARAM:
        pass
    ctypedef struct X509_NAME:
        pass
    ctypedef struct stack_of_x509 "STACK_OF(X509)":
        pass
    X509* d2i_X509(X509** cert, const unsigned char** der, long length)
    void X509_free(X509* cert)
    int X509_up_ref(X509* cert)
    int X509_check_private_key(const X509* cert, const EVP_PKEY* key)
    X509_NAME* X509_get_issuer_name(const X509* cert)
    EVP_PKEY* X509_get0_pubkey(const X509* cert)
    int X509_verify(X509* cert, EVP_PKEY* key)
    const ASN1_TIME* X509_get0_notBefore(const X509* cert)
    const ASN1_TIME* X509_get0_notAfter(const X509* cert)
    void* X509_get_ext_d2i(const X509* cert, int nid, int* critical, int* index)
    int X509_digest(const X509* cert, const EVP_MD* type, unsigned char* digest, unsigned int* length)
    const char* X509_verify_cert_error_string(long code)

    stack_of_x509* sk_X509_new_null()
    int sk_X509_push(stack_of_x509* stack, X509* cert)
    int sk_X509_num(const stack_of_x509* stack)
    X509* sk_X509_value(const stack_of_x509* stack, int index)
    void sk_X509_free(stack_of_x509* stack)
    void sk_X509_pop_free(stack_of_x509* stack, void (*free)(X509*))

cdef extern from "<openssl/pem.h>":
    X509* PEM_read_bio_X509(BIO* bio, X509** cert, void* password_cb, void* user)

cdef extern from "<openssl/x509_vfy.h>":
    const int X509_V_OK
    const int X509_V_ERR_HOSTNAME_MISMATCH
    const int X509_V_ERR_INVALID_PURPOSE
    const int X509_V_ERR_UNSPECIFIED
    const unsigned long X509_V_FLAG_PARTIAL_CHAIN
    X509_STORE* X509_STORE_new()
    void X509_STORE_free(X509_STORE* store)
    int X509_STORE_add_cert(X509_STORE* store, X509* cert)
    int X509_STORE_set_flags(X509_STORE* store, unsigned long flags)
    int X509_STORE_set_depth(X509_STORE* store, int depth)
    void X509_STORE_set_get_issuer(X509_STORE* store, int (*find)(X509**, X509_STORE_CTX*, X509*) noexcept)
    X509_STORE_CTX* X509_STORE_CTX_new()
    void X509_STORE_CTX_free(X509_STORE_CTX* checking)
    int X509_STORE_CTX_init(
        X509_STORE_CTX* checking, X509_STORE* anchors, X509* leaf, stack_of_x509* untrusted
    )
    int X509_STORE_CTX_set_default(X509_STORE_CTX* checking, const char* name)
    X509_VERIFY_PARAM* X509_STORE_CTX_get0_param(X509_STORE_CTX* checking)
    void X509_VERIFY_PARAM_set_auth_level(X509_VERIFY_PARAM* rules, int level)
    int X509_STORE_CTX_get1_issuer(X509** issuer, X509_STORE_CTX* checking, X509* cert)
    stack_of_x509* X509_STORE_CTX_get1_certs(const X509_STORE_CTX* checking, const X509_NAME* name)
    X509* X509_STORE_CTX_get0_cert(const X509_STORE_CTX* checking)
    stack_of_x509* X509_STORE_CTX_get0_chain(const X509_STORE_CTX* checking)
    int X509_STORE_CTX_get_error(const X509_STORE_CTX* checking)
    void X509_STORE_CTX_set_error(X509_STORE_CTX* checking, int code)
    void* X509_STORE_CTX_get_ex_data(const X509_STORE_CTX* checking, int index)
    int X509_verify_cert(X509_STORE_CTX* checking)

cdef extern from "<openssl/x509v3.h>":
    const unsigned int EXFLAG_CA
    unsigned int X509_get_extension_flags(X509* cert)
    # All bits are set when the certificate says nothing about its usages.
    unsigned int X509_get_extended_key_usage(X509* cert)
    ctypedef struct GENERAL_NAMES:
        pass
    ctypedef struct GENERAL_NAME:
        pass
    const int GEN_DNS
    const int GEN_URI
    const int NID_subject_alt_name
    int sk_GENERAL_NAME_num(const GENERAL_NAMES* names)
    GENERAL_NAME* sk_GENERAL_NAME_value(const GENERAL_NAMES* names, int index)
    void* GENERAL_NAME_get0_value(const GENERAL_NAME* name, int* kind)
    void GENERAL_NAMES_free(GENERAL_NAMES* names)

cdef extern from "<openssl/ssl.h>":
    ctypedef struct SSL:
        pass
    ctypedef struct SSL_CTX:
        pass
    ctypedef struct SSL_METHOD:
        pass
    const int TLS1_3_VERSION
    const int SSL_ERROR_SSL
    const int SSL_ERROR_WANT_READ
    const int SSL_ERROR_WANT_WRITE
    const int SSL_ERROR_ZERO_RETURN
    const int SSL_VERIFY_PEER
    const int SSL_SESS_CACHE_OFF
    const int SSL_KEY_UPDATE_NOT_REQUESTED
    const int SSL_KEY_UPDATE_REQUESTED
    const int SSL_TLSEXT_ERR_OK
    const int SSL_TLSEXT_ERR_NOACK
    const long SSL_MODE_RELEASE_BUFFERS
    const long SSL_MODE_NO_AUTO_CHAIN
    const unsigned long SSL_OP_NO_TICKET
    const unsigned long SSL_OP_CIPHER_SERVER_PREFERENCE

    const SSL_METHOD* TLS_server_method()
    const SSL_METHOD* TLS_client_method()
    SSL_CTX* SSL_CTX_new(const SSL_METHOD* method)
    void SSL_CTX_free(SSL_CTX* ctx)
    int SSL_CTX_get_security_level(const SSL_CTX* ctx)
    int SSL_CTX_set_min_proto_version(SSL_CTX* ctx, int version)
    int SSL_CTX_set_max_proto_version(SSL_CTX* ctx, int version)
    int SSL_CTX_set_ciphersuites(SSL_CTX* ctx, const char* names)
    int SSL_CTX_set1_groups_list(SSL_CTX* ctx, const char* names)
    int SSL_CTX_set1_sigalgs_list(SSL_CTX* ctx, const char* names)
    long SSL_CTX_set_mode(SSL_CTX* ctx, long mode)
    unsigned long SSL_CTX_set_options(SSL_CTX* ctx, unsigned long options)
    long SSL_CTX_set_session_cache_mode(SSL_CTX* ctx, long mode)
    int SSL_CTX_set_num_tickets(SSL_CTX* ctx, size_t count)
    long SSL_CTX_set_max_cert_list(SSL_CTX* ctx, long count)
    void SSL_CTX_set_verify(SSL_CTX* ctx, int mode, void* callback)
    void SSL_CTX_set_cert_verify_callback(
        SSL_CTX* ctx, int (*verify)(X509_STORE_CTX*, void*) noexcept, void* argument
    )
    void SSL_CTX_set_alpn_select_cb(
        SSL_CTX* ctx,
        int (*select)(
            SSL*, const unsigned char**, unsigned char*, const unsigned char*, unsigned int, void*
        ) noexcept,
        void* argument,
    )
    void SSL_CTX_set1_cert_store(SSL_CTX* ctx, X509_STORE* store)
    int SSL_CTX_use_certificate(SSL_CTX* ctx, X509* cert)
    int SSL_CTX_use_PrivateKey(SSL_CTX* ctx, EVP_PKEY* key)
    long SSL_CTX_add1_chain_cert(SSL_CTX* ctx, X509* cert)

    SSL* SSL_new(SSL_CTX* ctx)
    void SSL_free(SSL* ssl)
    void SSL_set_bio(SSL* ssl, BIO* reads, BIO* writes)
    int SSL_set_ex_data(SSL* ssl, int index, void* data)
    void* SSL_get_ex_data(const SSL* ssl, int index)
    int SSL_get_ex_data_X509_STORE_CTX_idx()
    void SSL_set_accept_state(SSL* ssl)
    void SSL_set_connect_state(SSL* ssl)
    long SSL_set_tlsext_host_name(SSL* ssl, const char* name)
    int SSL_set_alpn_protos(SSL* ssl, const unsigned char* protos, unsigned int length)
    void SSL_get0_alpn_selected(const SSL* ssl, const unsigned char** proto, unsigned int* length)
    int SSL_do_handshake(SSL* ssl)
    int SSL_read(SSL* ssl, void* dst, int room)
    int SSL_peek(SSL* ssl, void* dst, int room)
    int SSL_write(SSL* ssl, const void* src, int count)
    int SSL_pending(const SSL* ssl)
    int SSL_key_update(SSL* ssl, int kind)
    int SSL_shutdown(SSL* ssl)
    int SSL_get_error(const SSL* ssl, int outcome)
    long SSL_get_verify_result(const SSL* ssl)
