"""The part of OpenSSL (3.0 or a later 3.x) that signatures need; names and meanings are the library's."""

cdef extern from "<openssl/err.h>":
    void ERR_clear_error()

cdef extern from "<openssl/bn.h>":
    ctypedef struct BIGNUM:
        pass
    BIGNUM* BN_bin2bn(const unsigned char* digits, int count, BIGNUM* into)
    void BN_free(BIGNUM* number)

cdef extern from "<openssl/ec.h>":
    ctypedef struct ECDSA_SIG:
        pass
    ECDSA_SIG* ECDSA_SIG_new()
    void ECDSA_SIG_free(ECDSA_SIG* signature)
    # Takes both numbers where it succeeds.
    int ECDSA_SIG_set0(ECDSA_SIG* signature, BIGNUM* r, BIGNUM* s)
    int i2d_ECDSA_SIG(const ECDSA_SIG* signature, unsigned char** der)

cdef extern from "<openssl/rsa.h>":
    const int RSA_PKCS1_PSS_PADDING
    const int RSA_PSS_SALTLEN_DIGEST
    int EVP_PKEY_CTX_set_rsa_padding(EVP_PKEY_CTX* terms, int padding)
    int EVP_PKEY_CTX_set_rsa_pss_saltlen(EVP_PKEY_CTX* terms, int length)

cdef extern from "<openssl/evp.h>":
    ctypedef struct EVP_PKEY:
        pass
    ctypedef struct EVP_PKEY_CTX:
        pass
    ctypedef struct EVP_MD:
        pass
    ctypedef struct EVP_MD_CTX:
        pass
    const int EVP_PKEY_RSA
    const int EVP_PKEY_EC
    const int EVP_PKEY_ED25519
    const EVP_MD* EVP_sha256()
    const EVP_MD* EVP_sha384()
    const EVP_MD* EVP_sha512()
    void EVP_PKEY_free(EVP_PKEY* key)
    int EVP_PKEY_get_base_id(const EVP_PKEY* key)
    int EVP_PKEY_get_bits(const EVP_PKEY* key)
    int EVP_PKEY_get_group_name(const EVP_PKEY* key, char* name, size_t room, size_t* length)
    EVP_MD_CTX* EVP_MD_CTX_new()
    void EVP_MD_CTX_free(EVP_MD_CTX* work)
    int EVP_DigestVerifyInit(
        EVP_MD_CTX* work, EVP_PKEY_CTX** terms, const EVP_MD* digest, void* engine, EVP_PKEY* key
    )
    int EVP_DigestVerify(
        EVP_MD_CTX* work, const unsigned char* signature, size_t signature_length,
        const unsigned char* signed, size_t length,
    )

cdef extern from "<openssl/x509.h>":
    EVP_PKEY* d2i_PUBKEY(EVP_PKEY** key, const unsigned char** der, long length)
