# cython: language_level=3
"""One signature at a time: a token that nobody has seen yet is rare.

What a token says of its algorithm is never enough: the key must be one of that algorithm's kind, and there is
no algorithm without a public key.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from linkerd2_py._ext.jwt.libcrypto cimport (
    BIGNUM, BN_bin2bn, BN_free, ECDSA_SIG, ECDSA_SIG_free, ECDSA_SIG_new, ECDSA_SIG_set0, ERR_clear_error,
    EVP_DigestVerify, EVP_DigestVerifyInit, EVP_MD, EVP_MD_CTX, EVP_MD_CTX_free, EVP_MD_CTX_new, EVP_PKEY,
    EVP_PKEY_CTX, EVP_PKEY_CTX_set_rsa_padding, EVP_PKEY_CTX_set_rsa_pss_saltlen, EVP_PKEY_EC,
    EVP_PKEY_ED25519, EVP_PKEY_RSA, EVP_PKEY_free, EVP_PKEY_get_base_id, EVP_PKEY_get_bits,
    EVP_PKEY_get_group_name, EVP_sha256, EVP_sha384, EVP_sha512, RSA_PKCS1_PSS_PADDING,
    RSA_PSS_SALTLEN_DIGEST, d2i_PUBKEY, i2d_ECDSA_SIG,
)

ALGORITHMS = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519",
}
# RFC 7518 section 3.3 asks for that many; more than the second would let one token take milliseconds.
LEAST_RSA_BITS = 2048
MOST_RSA_BITS = 8192

cdef enum:
    GROUP_ROOM = 32
    DER_ROOM = 160            # of two numbers of 66 bytes

cdef dict CURVES = {b"prime256v1": "P-256", b"secp384r1": "P-384", b"secp521r1": "P-521"}
# Bytes of each of the two numbers of a signature.
cdef dict HALVES = {"P-256": 32, "P-384": 48, "P-521": 66}


cdef class PublicKey:
    def __cinit__(self, bytes der not None):
        cdef const unsigned char* start = der
        cdef const unsigned char* at = start
        self.key = d2i_PUBKEY(NULL, &at, len(der))
        ERR_clear_error()
        if self.key == NULL or at != start + len(der):
            raise ValueError("it is no public key")
        self.kind = kind_of(self.key)

    def __dealloc__(self):
        EVP_PKEY_free(self.key)

    def verifies(self, str algorithm not None, bytes signed not None, bytes signature not None):
        if ALGORITHMS.get(algorithm) != self.kind:
            return False
        if algorithm.startswith("ES"):
            signature = to_der(signature, HALVES[self.kind])
            if signature is None:
                return False
        return checked(self.key, algorithm, signed, signature)


cdef str kind_of(EVP_PKEY* key):
    cdef int base = EVP_PKEY_get_base_id(key)
    if base == EVP_PKEY_ED25519:
        return "Ed25519"
    if base == EVP_PKEY_RSA:
        bits = EVP_PKEY_get_bits(key)
        if not LEAST_RSA_BITS <= bits <= MOST_RSA_BITS:
            raise ValueError(f"an RSA key of {bits} bits; there must be {LEAST_RSA_BITS} to {MOST_RSA_BITS}")
        return "RSA"
    if base == EVP_PKEY_EC:
        return curve_of(key)
    raise ValueError("a key of a kind that is not known")


cdef str curve_of(EVP_PKEY* key):
    cdef char[GROUP_ROOM] name
    cdef size_t length = 0
    if EVP_PKEY_get_group_name(key, name, GROUP_ROOM, &length) != 1:
        ERR_clear_error()
        raise ValueError("a key on a curve without a name")
    found = CURVES.get(name[:length])
    if found is None:
        raise ValueError("a key on a curve that is not known")
    return found


cdef bytes to_der(bytes signature, int half):
    """Two numbers of so many bytes (RFC 7518 section 3.4), as OpenSSL has them; None: they are none."""
    cdef unsigned char[DER_ROOM] der
    cdef unsigned char* end = der
    cdef const unsigned char* digits = signature
    cdef ECDSA_SIG* pair
    cdef BIGNUM* r
    cdef BIGNUM* s
    cdef int length = -1
    if len(signature) != 2 * half:
        return None
    pair = ECDSA_SIG_new()
    r = BN_bin2bn(digits, half, NULL)
    s = BN_bin2bn(digits + half, half, NULL)
    if pair == NULL or r == NULL or s == NULL or ECDSA_SIG_set0(pair, r, s) != 1:
        BN_free(r)
        BN_free(s)
    else:
        length = i2d_ECDSA_SIG(pair, &end)
    ECDSA_SIG_free(pair)
    return None if length <= 0 else (<char*> der)[:length]


cdef const EVP_MD* digest_of(str algorithm):
    """None for EdDSA, which has its own."""
    if algorithm == "EdDSA":
        return NULL
    if algorithm.endswith("256"):
        return EVP_sha256()
    return EVP_sha384() if algorithm.endswith("384") else EVP_sha512()


cdef bint checked(EVP_PKEY* key, str algorithm, bytes signed, bytes signature) except -1:
    cdef EVP_MD_CTX* work = EVP_MD_CTX_new()
    cdef EVP_PKEY_CTX* terms = NULL
    cdef const EVP_MD* digest = digest_of(algorithm)
    cdef const unsigned char* said = signature
    cdef const unsigned char* text = signed
    cdef size_t said_length = len(signature), length = len(signed)
    cdef bint sound
    if work == NULL:
        raise MemoryError
    sound = EVP_DigestVerifyInit(work, &terms, digest, NULL, key) == 1
    if sound and algorithm.startswith("PS"):
        sound = (
            EVP_PKEY_CTX_set_rsa_padding(terms, RSA_PKCS1_PSS_PADDING) == 1
            and EVP_PKEY_CTX_set_rsa_pss_saltlen(terms, RSA_PSS_SALTLEN_DIGEST) == 1
        )
    sound = sound and EVP_DigestVerify(work, said, said_length, text, length) == 1
    EVP_MD_CTX_free(work)
    ERR_clear_error()
    return sound
