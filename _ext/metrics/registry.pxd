"""All series of the process. Handles are resolved once per (endpoint, target, connection kind); the hot path only adds to C integers.

Series count is bounded (`max_series` per family; beyond it new label sets share one overflow handle that is counted, and exported as
`proxy_metrics_overflow_total`); idle series (no live handle and no change for `retain_idle_ns`, default 10 min) are dropped at render time.
Python: Registry(max_series=2000*..., retain_idle_ns=...), counter(name, help, labels: dict) -> Counter(.inc(n), .value), gauge(...) -> Gauge(.set),
`render(now_ns) -> Rendering` : an iterator of bytes slices (each slice <= ~64 KiB and <= 1 ms of work), text format 0.0.4 with HELP/TYPE per family; safe against changes between slices.
"""

from libc.stdint cimport int64_t, uint64_t
from linkerd2_py._ext.metrics.http cimport HttpMetrics
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

cdef class Registry:
    # `labels` are pre-rendered label text without braces, e.g. b'authority="a",direction="outbound",tls="no_identity"' (make_labels escapes and orders).
    # `prefix` is b"" or b"control_": control_request_total ... Same labels => same handle object.
    cdef HttpMetrics http(self, bytes prefix, bytes labels)
    cdef TcpMetrics tcp(self, bytes labels)
