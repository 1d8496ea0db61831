# cython: language_level=3
"""Clients and permissions."""


cdef class Client:
    def __init__(self, *, str identity=None, bint secured=False, tuple labels=(), TcpMetrics tcp=None):
        self.identity = identity
        self.raw_identity = None if identity is None else identity.encode()
        self.secured = secured
        self.labels = labels
        self.tcp = tcp


cdef class Permission:
    def __init__(self, *, str refusal=None, Counter requests=None, Counter connections=None):
        self.refusal = None if refusal is None else refusal.encode("ascii", "replace")
        self.requests = requests
        self.connections = connections

    cdef int count_request(self) noexcept:
        if self.requests is not None:
            self.requests.count += 1
        return 0

    cdef int count_connection(self) noexcept:
        if self.connections is not None:
            self.connections.count += 1
        return 0
