"""The name in a certificate: what a workload is called, and nothing else that X.509 can hold."""

from linkerd2_py._ext.tls.openssl cimport X509

# The one DNS name (or URI) of the certificate, as it is written there; None when there is none, more than
# one, or it is no name: with a NUL, a wildcard, empty, overlong, a DNS name with a capital letter, or a URI
# without a scheme. To DNS, case means nothing (RFC 5280 7.2): a name that could be written in two ways would
# be two identities to whoever compares bytes, and no authority of a mesh signs one.
cdef bytes certified_name(X509* cert)
