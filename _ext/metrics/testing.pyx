# cython: language_level=3
"""Doors for tests into the C interface of the metrics. Not part of a wheel."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from linkerd2_py._ext.metrics.balancer cimport BalancerMetrics, balancer_metrics
from linkerd2_py._ext.metrics.detection cimport Detected, Detections, detections
from linkerd2_py._ext.metrics.errors cimport error_word, http_errors
from linkerd2_py._ext.metrics.histogram cimport BUCKETS, Histogram, bucket_of, record
from linkerd2_py._ext.metrics.http cimport (
    CLASS_FAILURE,
    CLASS_SUCCESS,
    NO_GRPC_STATUS,
    RESPONSE_ERRORS,
    HttpMetrics,
    LatencyCell,
    ResponseCell,
    ResponseError,
    classify,
    response_error_text,
)
from linkerd2_py._ext.metrics.process cimport ProcessSample, opendir_fds
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.routes cimport RouteMetrics
from linkerd2_py._ext.metrics.series cimport Distribution
from linkerd2_py._ext.metrics.tcp cimport CloseCell, TcpMetrics


def http(Registry registry, bytes prefix, bytes labels):
    return registry.http(prefix, labels)


def tcp(Registry registry, bytes labels):
    return registry.tcp(labels)


def request(HttpMetrics handle, *, now = 0):
    handle.request(now)


def response(
    HttpMetrics handle,
    int status = 200,
    *,
    failure = False,
    int grpc_status = NO_GRPC_STATUS,
    long long latency_ns = 0,
    now = 0,
):
    return handle.response(status, CLASS_FAILURE if failure else CLASS_SUCCESS, grpc_status, latency_ns, now)


def failed(
    HttpMetrics handle,
    int status,
    *,
    int error,
    int grpc_status = NO_GRPC_STATUS,
    long long latency_ns = 0,
    now = 0,
):
    return handle.failed(status, CLASS_FAILURE, grpc_status, <ResponseError> error, latency_ns, now)


def response_many(HttpMetrics handle, long count):
    """`count` successful responses of rising latency: for counting instructions."""
    cdef long at
    for at in range(count):
        handle.response(200, CLASS_SUCCESS, NO_GRPC_STATUS, at * 1000, at)


def opened(TcpMetrics handle, *, now = 0):
    handle.opened(now)


def closed(TcpMetrics handle, int code = 0, *, long long duration_ns = 0, now = 0):
    handle.closed(code, duration_ns, now)


def observe(Distribution handle, double value):
    handle.observe(value)


def error_words():
    return [error_word(<ResponseError> error).decode() for error in range(<int> RESPONSE_ERRORS)]


def count_error(Registry registry, bytes direction, bytes labels, int error):
    http_errors(registry, direction, labels).count(<ResponseError> error)


def detect(Registry registry, bytes direction, bytes labels, int result, long long took_ns):
    cdef Detections found = detections(registry, direction, labels)
    found.observe(<Detected> result, took_ns)
    return found


cdef class Balancer:
    """Tells what it is told."""
    cdef BalancerMetrics metrics

    def __init__(self, Registry registry, bytes prefix, bytes labels):
        self.metrics = balancer_metrics(registry, prefix, labels)

    def tell(self, ready, endpoints, length):
        self.metrics.tell(ready, endpoints, length)

    def waited(self, long long took_ns):
        self.metrics.waited(took_ns)


def carried(TcpMetrics handle, *, read, write):
    handle.read_bytes += <unsigned long long> read
    handle.write_bytes += <unsigned long long> write


def bucket(long long latency_ns):
    return bucket_of(latency_ns)


def is_failure(int status, *, int grpc_status = NO_GRPC_STATUS, is_grpc = False):
    return classify(status, grpc_status, is_grpc) == CLASS_FAILURE


def error_texts():
    return [response_error_text(error).decode() for error in range(<int> RESPONSE_ERRORS)]


def error_text(unsigned int error):
    return response_error_text(error).decode()


def cell_sizes():
    """Bytes of one (label set, status) histogram, one response counter, one (label set, errno) histogram."""
    return sizeof(LatencyCell), sizeof(ResponseCell), sizeof(CloseCell)


def cell_counts(HttpMetrics handle):
    return handle.response_count, handle.latency_count


def walked_fds():
    """Open descriptors as counted on a kernel that does not give their number, and the steps that took."""
    cdef ProcessSample sample = opendir_fds()
    cdef int steps = 1
    while not sample.advance():
        steps += 1
    return sample.open_fds, steps


def record_many(int times):
    """`times` latencies from all over the 26 buckets into one histogram: the sum of its counts.

    For benchmarks.
    """
    cdef Histogram histogram
    cdef int64_t latency_ns = 0
    cdef int i
    memset(&histogram, 0, sizeof(Histogram))
    for i in range(times):
        record(&histogram, latency_ns)
        # An odd step through 2^36 ns, which is 69 s: no order that a processor could learn.
        latency_ns = (latency_ns + 42470972311LL) & ((<int64_t> 1 << 36) - 1)
    return sum([histogram.counts[i] for i in range(BUCKETS)])


def render_many(Registry registry, int times, *, now):
    """`times` whole expositions: bytes in all. For benchmarks."""
    cdef Py_ssize_t written = 0
    cdef bytes piece
    cdef int i
    for i in range(times):
        for piece in registry.render(now):
            written += len(piece)
    return written


def route_ended(
    RouteMetrics made not None, *, int status, int grpc_status=-1, int error=0, int code=0, bint ours=False,
    took_ns=0,
):
    """`error`: a number of ResponseError."""
    made.ended(status, grpc_status, <ResponseError> error, code, ours, took_ns)
