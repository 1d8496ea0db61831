# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Names in certificates. A certificate with two names could be taken for either: it is taken for neither."""

from linkerd2_py._ext.core.dns_name cimport is_dns_name
from linkerd2_py._ext.tls.openssl cimport (
    GEN_DNS,
    GEN_URI,
    ASN1_STRING,
    ASN1_STRING_get0_data,
    ASN1_STRING_length,
    GENERAL_NAME_get0_value,
    GENERAL_NAMES,
    GENERAL_NAMES_free,
    NID_subject_alt_name,
    X509_get_ext_d2i,
    sk_GENERAL_NAME_num,
    sk_GENERAL_NAME_value,
)

cdef extern from "<string.h>":
    const void* memmem(const void* text, size_t size, const void* wanted, size_t count)

cdef enum:
    URI_MAX = 2048     # SPIFFE's own bound


cdef bytes certified_name(X509* cert):
    cdef GENERAL_NAMES* names = <GENERAL_NAMES*> X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL)
    if names == NULL:
        return None
    try:
        return _the_only(names)
    finally:
        GENERAL_NAMES_free(names)


cdef bytes _the_only(GENERAL_NAMES* names):
    cdef ASN1_STRING* value
    cdef const char* text = NULL
    cdef int kind = -1, found = -1, size = 0
    cdef int i
    for i in range(sk_GENERAL_NAME_num(names)):
        value = <ASN1_STRING*> GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind)
        if kind != GEN_DNS and kind != GEN_URI:
            continue
        if found >= 0:
            return None
        found = kind
        text = <const char*> ASN1_STRING_get0_data(value)
        size = ASN1_STRING_length(value)
    if found == GEN_DNS and is_dns_name(text, size) and not has_capital(text, size):
        return text[:size]
    if found == GEN_URI and is_uri(text, size):
        return text[:size]
    return None


cdef bint has_capital(const char* text, int size) noexcept:
    cdef int i
    for i in range(size):
        if c"A" <= text[i] <= c"Z":
            return True
    return False


cdef bint is_uri(const char* text, int size) noexcept:
    cdef int i
    if not 0 < size <= URI_MAX:
        return False
    for i in range(size):
        if not 0x21 <= text[i] <= 0x7E:
            return False
    # Without a scheme it could be taken for a DNS name.
    return memmem(text, size, b"://", 3) != NULL
