"""Who this proxy is."""

from linkerd2_py._ext.tls.credentials cimport Credentials

cdef class LocalIdentity:
    cdef readonly str name
    cdef bytes raw_name
    cdef readonly Credentials credentials     # owned; None before the first install. A connection keeps the ones it began with
