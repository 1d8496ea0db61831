"""All series of the process. Handles are resolved once per (endpoint, target, connection kind); the hot path
only adds to C integers.

Series count is bounded (`max_series` per family, default 2000; beyond it new label sets share one handle
labelled `overflow="true"`, and each such lookup is counted in `proxy_metrics_overflow_total{family}`); idle
series (no live handle and no change for `retain_idle_ns`, default 10 min) are dropped at render time.
Python: see registry.pyi.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.metrics.http cimport HttpMetrics
from linkerd2_py._ext.metrics.series cimport Counter, Distribution, Gauge, Series
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

cdef class Handles:
    """The handles of one kind, by label text. A handle is owned here and by whoever counts with it."""
    cdef type kind                # HttpMetrics, TcpMetrics, Counter, Gauge or Distribution
    cdef dict by_labels           # bytes -> Series, in insertion order
    cdef Series overflow          # shared by all label sets beyond the bound; None until needed
    cdef Counter overflowed       # lookups that got `overflow`; None until needed
    cdef int sweep(self, int64_t now, int64_t retain_ns) except -1
    cdef list snapshot(self)
    cdef int64_t newest(self) except -1

cdef class ScalarFamily(Handles):
    """A family of counters, gauges or distributions, by whatever name whoever counts gives it."""
    cdef bytes help               # escaped
    # Of distributions; None of others
    cdef tuple bounds             # floats, rising
    cdef tuple texts              # the same as labels say them, with +Inf

cdef class Registry:
    cdef readonly Py_ssize_t max_series
    cdef readonly int64_t retain_idle_ns
    # Newest time seen: idle checks between scrapes need a clock and have no other.
    cdef int64_t latest_ns
    cdef dict http_handles        # prefix bytes -> Handles
    cdef Handles tcp_handles
    cdef dict scalars             # name bytes -> ScalarFamily, in insertion order
    cdef list held                # series that must stay although nobody holds them
    # `labels` are pre-rendered label text without braces, e.g.
    # b'authority="a",direction="outbound",tls="no_identity"' (make_labels).
    # `prefix` is b"" or b"control_": control_request_total ... Same labels => same handle object.
    cdef HttpMetrics http(self, bytes prefix, bytes labels)
    cdef TcpMetrics tcp(self, bytes labels)
    cdef Series admit(self, Handles handles, bytes labels, bytes family)
    cdef Series overflow_of(self, Handles handles, bytes family)
    cdef Series make(self, Handles handles, bytes labels)
    cdef ScalarFamily scalar_family(self, type kind, bytes name, bytes help)
    cdef Series scalar(self, type kind, bytes name, bytes help, bytes labels)
    # `labels`: label text, as above.
    cdef Counter counted(self, bytes name, bytes help, bytes labels)
    cdef Gauge gauged(self, bytes name, bytes help, bytes labels)
    cdef Distribution spread(self, bytes name, bytes help, tuple bounds, bytes labels)
    cdef list plan(self)
