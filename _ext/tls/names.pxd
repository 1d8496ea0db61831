"""The name in a certificate: what a workload is called, and nothing else that X.509 can hold."""

from linkerd2_py._ext.tls.openssl cimport X509

# The one DNS name (or URI) of the certificate, as it is written there; None when there is none, more than one, or it is no name: with a NUL, a wildcard,
# empty, overlong, or a URI without a scheme. Case is kept: identities are lower-case, and one that is not is somebody else's.
cdef bytes certified_name(X509* cert)
