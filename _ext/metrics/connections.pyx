# cython: language_level=3
"""Twice a connection."""

from linkerd2_py._ext.metrics.labels cimport make_labels
from linkerd2_py._ext.metrics.series cimport L5D_METRICS

cdef tuple WORDS = ("", "forbidden", "invalid_backend", "invalid_policy", "unexpected")
cdef bytes OPENED = b"Connections that began to follow a route."
cdef bytes CLOSED = b"Connections of a route that ended, by what went wrong."


cdef ConnectionEnd end_named(str word) except *:
    return <ConnectionEnd> <int> WORDS.index(word)


cdef class ConnectionMetrics:
    def __init__(self, Registry registry not None, labels, *, bint tls=False):
        self.registry = registry
        self.prefix = b"outbound_tls_route_" if tls else b"outbound_tcp_route_"
        self.labels = make_labels(labels)

    cdef int opened(self) except -1:
        if not L5D_METRICS:
            return 0
        if self.opens is None:
            # All at once, as Linkerd's: what has not gone wrong yet is 0.
            self.closes = [
                self.registry.counted(
                    self.prefix + b"close_total", CLOSED,
                    b'%s,error="%s"' % (self.labels, (<str> word).encode()),
                )
                for word in WORDS
            ]
            self.opens = self.registry.counted(self.prefix + b"open_total", OPENED, self.labels)
        self.opens.count += 1
        return 0

    cdef int closed(self, ConnectionEnd why) except -1:
        if self.opens is not None:
            (<Counter> self.closes[<int> why]).count += 1
        return 0
