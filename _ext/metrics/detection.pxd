"""{inbound,outbound}_tcp_detect_http_{results_total,duration_seconds}: what was found in the first bytes of
connections, and how long that took."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.series cimport Distribution

cdef enum Detected:
    DETECTED_NOT_HTTP
    DETECTED_HTTP1
    DETECTED_HTTP2
    DETECTED_TIMEOUT          # not enough came in time: Linkerd's read_timeout
    DETECTED_ERROR            # the connection ended first
    DETECTIONS

cdef class Detections:
    """Of one label set. All results are there from the start, so that the first of a kind is seen to
    happen."""
    cdef list results         # of Counter, by Detected
    cdef Distribution durations
    cdef int observe(self, Detected result, int64_t took_ns) noexcept

cdef Detections detections(Registry registry, bytes direction, bytes labels)
