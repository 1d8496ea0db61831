# cython: language_level=3
"""Labels are Linkerd's: by parent what connections speak, by address those that failed; outbound requests
that failed, by nothing but the reason."""

from linkerd2_py._ext.metrics.detection cimport detections
from linkerd2_py._ext.metrics.errors cimport http_errors, tcp_errors
from linkerd2_py._ext.metrics.series cimport L5D_METRICS

from linkerd2_py._ext.metrics.labels import make_labels

cdef bytes CONNECTIONS = b"Connections by what discovery says that they speak; detect: nobody knows."


cdef class Tally:
    cdef int detected(self, Detected result, int64_t took_ns) except -1:
        if L5D_METRICS:
            self.expect()
            self.detections.observe(result, took_ns)
        return 0

    cdef int expect(self) except -1:
        if self.detections is None and L5D_METRICS:
            self.detections = detections(self.registry, self.direction, self.owner)
        return 0

    cdef int http_failed(self, ResponseError error) except -1:
        if self.http is None:
            labels = join(self.address, self.owner) if self.direction == b"inbound" else b""
            self.http = http_errors(self.registry, self.direction, labels)
        return self.http.count(error)

    cdef int tcp_failed(self, ResponseError error) except -1:
        if self.tcp is None:
            self.tcp = tcp_errors(self.registry, self.direction, self.address)
        return self.tcp.count(error)

    cdef int came(self) except -1:
        if self.direction != b"outbound" or not L5D_METRICS:
            return 0
        if self.connections is None:
            labels = join(self.protocol, self.owner)
            self.connections = self.registry.counted(
                b"outbound_tcp_protocol_connections_total", CONNECTIONS, labels,
            )
        self.connections.count += 1
        return 0


cdef Tally new_tally(Registry registry, str direction, bytes owner, bytes address, bytes protocol):
    cdef Tally tally = Tally.__new__(Tally)
    tally.registry = registry
    tally.direction = direction.encode()
    tally.owner = owner
    tally.address = address
    tally.protocol = protocol
    return tally


cdef bytes join(bytes labels, bytes more):
    return labels + b"," + more if labels and more else labels or more


cdef tuple target_labels(Address address):
    return (
        ("target_addr", str(address)), ("target_ip", address.host), ("target_port", str(address.port)),
    )


cdef bytes key_labels(bytes key):
    host, _, port = key.rpartition(b":")
    try:
        return make_labels(target_labels(Address(host.strip(b"[]").decode("ascii"), int(port))))
    except ValueError:
        name = key.decode("ascii", "replace")
        return make_labels([("target_addr", name), ("target_port", port.decode("ascii", "replace"))])
