# cython: language_level=3
"""Clients and permissions."""

from linkerd2_py._ext.metrics.labels import make_labels

SKIPPED = (("tls", "no_identity"), ("no_tls_reason", "port_skipped"))

cdef enum:
    # A mesh has fewer identities. Peers choose what they prove, so this bounds what they can make us keep;
    # beyond it all are resolved anew.
    CLIENTS_MAX = 4096


cdef class Client:
    def __init__(self, *, str identity=None, bint secured=False, tuple labels=(), TcpMetrics tcp=None):
        self.identity = identity
        self.raw_identity = None if identity is None else identity.encode()
        self.secured = secured
        self.labels = labels
        self.tcp = tcp


cdef class Clients:
    def __init__(self, Registry registry, str direction, tuple tcp_labels, tuple no_tls, bint looks_for_tls):
        self.registry = registry
        self.direction = direction
        self.tcp_labels = tcp_labels
        self.over_tls = {}
        self.plain = self.make(None, False, no_tls)
        self.skipped = self.make(None, False, SKIPPED) if looks_for_tls else self.plain

    cdef Client make(self, str identity, bint secured, tuple tls):
        labels = [("direction", self.direction), ("peer", "src"), *tls, *self.tcp_labels]
        tcp = self.registry.tcp(make_labels(labels))
        return Client(identity=identity, secured=secured, labels=tls, tcp=tcp)

    cdef Client secured(self, bytes identity):
        cdef Client client = self.over_tls.get(identity)
        if client is None:
            if len(self.over_tls) >= CLIENTS_MAX:
                self.over_tls.clear()
            name = None if identity is None else identity.decode("ascii", "replace")
            client = self.make(name, True, (("tls", "true"), ("client_id", name or "")))
            self.over_tls[identity] = client
        return client


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
