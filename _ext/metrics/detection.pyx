# cython: language_level=3
"""Once a connection."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.metrics.series cimport Counter

cdef tuple WORDS = (b"not_http", b"http/1", b"http/2", b"read_timeout", b"error")
cdef tuple BOUNDS_S = (0.001, 0.1)
cdef bytes RESULTS = b"Connections by what their first bytes were."
cdef bytes DURATIONS = b"How long it took to find out what a connection speaks, in seconds."


cdef class Detections:
    cdef int observe(self, Detected result, int64_t took_ns) noexcept:
        (<Counter> self.results[<int> result]).count += 1
        return self.durations.observe(took_ns / 1e9)


cdef Detections detections(Registry registry, bytes direction, bytes labels):
    cdef Detections found = Detections.__new__(Detections)
    cdef bytes prefix = direction + b"_tcp_detect_http_"
    rest = b"," + labels if labels else b""
    found.results = [
        registry.counted(prefix + b"results_total", RESULTS, b'result="%s"%s' % (word, rest))
        for word in WORDS
    ]
    found.durations = registry.spread(prefix + b"duration_seconds", DURATIONS, BOUNDS_S, labels)
    return found
