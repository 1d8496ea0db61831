# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Writes a plan of families as Prometheus text.

One unit of work is one line of a counter or all lines of one histogram.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free
from libc.math cimport isinf, isnan
from libc.stdint cimport INT64_MIN, uint32_t, uint64_t
from libc.stdio cimport snprintf
from linkerd2_py._ext.core.fault cimport errno_name
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.metrics.histogram cimport BUCKETS, Histogram, l5d_bound_ns
from linkerd2_py._ext.metrics.http cimport (
    HttpMetrics,
    LatencyCell,
    ResponseCell,
    key_error,
    key_failure,
    key_grpc_status,
    key_status,
    response_error_text,
)
from linkerd2_py._ext.metrics.process cimport ProcessSample
from linkerd2_py._ext.metrics.series cimport Counter, Distribution, Gauge, Series
from linkerd2_py._ext.metrics.tcp cimport CloseCell, TcpMetrics
from linkerd2_py._ext.metrics.text cimport (
    Text,
    text_drop,
    text_free,
    text_put,
    text_put_number,
    text_put_z,
    text_reserve,
)

cdef extern from "Python.h":
    char* PyOS_double_to_string(
        double value, char format_code, int precision, int flags, int* kind
    ) except NULL

cdef enum:
    MS_NS = 1000000

# Prometheus reads floats: counters wrap where a float stops counting by ones, as Linkerd's do.
cdef uint64_t EXACT = (<uint64_t> 1 << 53) + 1


cdef class Family:
    """Made by family_of."""


cdef Family family_of(FamilyKind kind, bytes name, bytes help, list series):
    cdef Family family = Family.__new__(Family)
    family.kind = kind
    family.name = name
    family.help = help
    family.series = series
    return family


cdef class Rendering:
    """One scrape. Slices are cut by size, not at line ends."""

    def __cinit__(self, list families not None, ProcessSample process):
        self.families = families
        self.process = process
        self.cell_after = INT64_MIN
        if not text_reserve(&self.text, 2 * SLICE_BYTES):
            raise MemoryError

    def __dealloc__(self):
        text_free(&self.text)

    def __iter__(self):
        return self

    def __next__(self):
        cdef int visits = 0
        cdef size_t length
        while self.text.length < SLICE_BYTES and visits < SLICE_VISITS and not self.finished:
            if not self.step():
                self.finished = True
            visits += 1
        if self.text.failed:
            raise MemoryError
        if self.text.length == 0:
            if self.finished:
                text_free(&self.text)
                raise StopIteration
            # An empty slice would end a chunked body; a comment says nothing.
            return b"#\n"
        length = min(<size_t> SLICE_BYTES, self.text.length)
        cdef bytes slice = PyBytes_FromStringAndSize(self.text.mem, length)
        text_drop(&self.text, length)
        return slice

    cdef bint step(self) except -1:
        """One unit of work; False when none is left."""
        cdef Family family
        if self.family_at < len(self.families):
            family = <Family> self.families[self.family_at]
            if self.series_at < len(family.series):
                self.write_series(family, <Series> family.series[self.series_at])
                return True
            self.family_at += 1
            self.series_at = 0
            self.headed = False
            return True
        if self.process is None:
            return False
        if self.process.advance():
            self.process.write(&self.text)
            self.process = None
        return True

    cdef int write_series(self, Family family, Series series) except -1:
        cdef FamilyKind kind = family.kind
        if kind == FAMILY_RESPONSES:
            return self.write_response(family, series)
        if kind == FAMILY_LATENCIES:
            return self.write_latency(family, series)
        if kind == FAMILY_TCP_CLOSES or kind == FAMILY_TCP_DURATIONS:
            return self.write_close(family, series)
        self.head(family)
        if kind == FAMILY_DISTRIBUTION:
            put_distribution(&self.text, <Distribution> series, family.name)
            return self.next_series()
        open_line(&self.text, family.name, b"", series.labels)
        text_put_z(&self.text, b" " if PyBytes_GET_SIZE(series.labels) == 0 else b"} ")
        if kind == FAMILY_GAUGE:
            put_double(&self.text, (<Gauge> series).level)
        else:
            text_put_number(&self.text, plain_value(kind, series) % EXACT)
        text_put_z(&self.text, b"\n")
        return self.next_series()

    cdef int write_response(self, Family family, Series series) except -1:
        cdef HttpMetrics http = <HttpMetrics> series
        cdef ResponseCell* cell
        cdef uint32_t at = 0
        while at < http.response_count and http.responses[at].key <= self.cell_after:
            at += 1
        if at == http.response_count:
            return self.next_series()
        cell = &http.responses[at]
        self.cell_after = cell.key
        self.head(family)
        open_line(&self.text, family.name, b"", series.labels)
        put_response_labels(&self.text, cell.key, PyBytes_GET_SIZE(series.labels) > 0)
        text_put_z(&self.text, b"} ")
        text_put_number(&self.text, cell.count % EXACT)
        text_put_z(&self.text, b"\n")
        return 0

    cdef int write_latency(self, Family family, Series series) except -1:
        cdef HttpMetrics http = <HttpMetrics> series
        cdef LatencyCell* cell
        cdef char label[32]
        cdef Span own
        cdef uint32_t at = 0
        while at < http.latency_count and http.latencies[at].status <= self.cell_after:
            at += 1
        if at == http.latency_count:
            return self.next_series()
        cell = &http.latencies[at]
        self.cell_after = cell.status
        self.head(family)
        own.ptr, own.len = label, snprintf(label, sizeof(label), b'status_code="%u"', cell.status)
        put_histogram(&self.text, &cell.histogram, family.name, series.labels, own)
        return 0

    cdef int write_close(self, Family family, Series series) except -1:
        cdef TcpMetrics tcp = <TcpMetrics> series
        cdef CloseCell* cell
        cdef char label[64]       # names of errno are short
        cdef Span own
        cdef uint32_t at = 0
        while at < tcp.close_count and tcp.closes[at].code <= self.cell_after:
            at += 1
        if at == tcp.close_count:
            return self.next_series()
        cell = &tcp.closes[at]
        self.cell_after = cell.code
        self.head(family)
        own.ptr, own.len = label, snprintf(label, sizeof(label), b'errno="%.32s"', errno_name(cell.code))
        if family.kind == FAMILY_TCP_DURATIONS:
            put_histogram(&self.text, &cell.durations, family.name, series.labels, own)
            return 0
        open_line(&self.text, family.name, b"", series.labels)
        put_separator(&self.text, PyBytes_GET_SIZE(series.labels) > 0)
        text_put(&self.text, own.ptr, own.len)
        text_put_z(&self.text, b"} ")
        text_put_number(&self.text, total(&cell.durations) % EXACT)
        text_put_z(&self.text, b"\n")
        return 0

    cdef int head(self, Family family) noexcept:
        if self.headed:
            return 0
        self.headed = True
        text_put_z(&self.text, b"# HELP ")
        put_bytes(&self.text, family.name)
        text_put_z(&self.text, b" ")
        put_bytes(&self.text, family.help)
        text_put_z(&self.text, b"\n# TYPE ")
        put_bytes(&self.text, family.name)
        text_put_z(&self.text, type_name(family.kind))
        return 0

    cdef int next_series(self) noexcept:
        self.series_at += 1
        self.cell_after = INT64_MIN
        return 0


cdef const char* type_name(FamilyKind kind) noexcept nogil:
    if kind in (FAMILY_LATENCIES, FAMILY_TCP_DURATIONS, FAMILY_DISTRIBUTION):
        return b" histogram\n"
    if kind == FAMILY_TCP_OPEN_NOW or kind == FAMILY_GAUGE:
        return b" gauge\n"
    return b" counter\n"


cdef uint64_t plain_value(FamilyKind kind, Series series) noexcept:
    """The number of a family with one line per series."""
    if kind == FAMILY_REQUESTS:
        return (<HttpMetrics> series).requests
    if kind == FAMILY_COUNTER:
        return (<Counter> series).count
    if kind == FAMILY_TCP_OPENS:
        return (<TcpMetrics> series).opens
    if kind == FAMILY_TCP_OPEN_NOW:
        return (<TcpMetrics> series).open_now
    if kind == FAMILY_TCP_READ:
        return (<TcpMetrics> series).read_bytes
    return (<TcpMetrics> series).write_bytes


cdef void put_bytes(Text* text, bytes src) noexcept:
    text_put(text, PyBytes_AS_STRING(src), PyBytes_GET_SIZE(src))


cdef void open_line(Text* text, bytes name, const char* suffix, bytes labels) noexcept:
    """Name, suffix and the common labels; the brace stays open when there are any."""
    put_bytes(text, name)
    text_put_z(text, suffix)
    if PyBytes_GET_SIZE(labels):
        text_put_z(text, b"{")
        put_bytes(text, labels)


cdef void put_separator(Text* text, bint has_labels) noexcept:
    text_put_z(text, b"," if has_labels else b"{")


cdef void put_response_labels(Text* text, uint32_t key, bint has_labels) noexcept:
    """In the order of Linkerd: status_code, classification, grpc_status, error."""
    put_separator(text, has_labels)
    text_put_z(text, b'status_code="')
    text_put_number(text, key_status(key))
    text_put_z(text, b'",classification="failure"' if key_failure(key) else b'",classification="success"')
    if key_grpc_status(key) >= 0:
        text_put_z(text, b',grpc_status="')
        text_put_number(text, key_grpc_status(key))
        text_put_z(text, b'"')
    if key_error(key):
        text_put_z(text, b',error="')
        text_put_z(text, response_error_text(key_error(key)))
        text_put_z(text, b'"')


cdef uint64_t total(const Histogram* histogram) noexcept nogil:
    cdef uint64_t sum = 0
    cdef int at
    for at in range(BUCKETS):
        sum += histogram.counts[at]
    return sum


cdef void put_histogram(Text* text, const Histogram* histogram, bytes name, bytes labels, Span own) noexcept:
    """All buckets, the sum in whole milliseconds and the count; `own` is the label that this histogram
    adds."""
    cdef uint64_t below = 0
    cdef int at
    for at in range(BUCKETS):
        below += histogram.counts[at]
        open_histogram_line(text, name, b"_bucket", labels, own)
        text_put_z(text, b',le="')
        if at == BUCKETS - 1:
            text_put_z(text, b"+Inf")
        else:
            text_put_number(text, l5d_bound_ns[at] // MS_NS)
        text_put_z(text, b'"} ')
        text_put_number(text, below % EXACT)
        text_put_z(text, b"\n")
    open_histogram_line(text, name, b"_sum", labels, own)
    text_put_z(text, b"} ")
    text_put_number(text, histogram.sum_us // 1000 % EXACT)
    text_put_z(text, b"\n")
    open_histogram_line(text, name, b"_count", labels, own)
    text_put_z(text, b"} ")
    text_put_number(text, below % EXACT)
    text_put_z(text, b"\n")


cdef void open_histogram_line(Text* text, bytes name, const char* suffix, bytes labels, Span own) noexcept:
    open_line(text, name, suffix, labels)
    put_separator(text, PyBytes_GET_SIZE(labels) > 0)
    text_put(text, own.ptr, own.len)


cdef int put_distribution(Text* text, Distribution series, bytes name) except -1:
    """All buckets, the sum and the count."""
    cdef const char* rest = b" " if PyBytes_GET_SIZE(series.labels) == 0 else b"} "
    cdef uint64_t below = 0
    cdef int at
    for at in range(series.bound_count + 1):
        below += series.counts[at]
        open_line(text, name, b"_bucket", series.labels)
        put_separator(text, PyBytes_GET_SIZE(series.labels) > 0)
        text_put_z(text, b'le="')
        put_bytes(text, <bytes> series.texts[at])
        text_put_z(text, b'"} ')
        text_put_number(text, below % EXACT)
        text_put_z(text, b"\n")
    open_line(text, name, b"_sum", series.labels)
    text_put_z(text, rest)
    put_double(text, series.sum)
    text_put_z(text, b"\n")
    open_line(text, name, b"_count", series.labels)
    text_put_z(text, rest)
    text_put_number(text, below % EXACT)
    text_put_z(text, b"\n")
    return 0


cdef int put_double(Text* text, double value) except -1:
    """Shortest text that reads back as the same float."""
    cdef char* digits
    if isnan(value):
        text_put_z(text, b"NaN")
        return 0
    if isinf(value):
        text_put_z(text, b"+Inf" if value > 0 else b"-Inf")
        return 0
    digits = PyOS_double_to_string(value, c'r', 0, 0, NULL)
    text_put_z(text, digits)
    PyMem_Free(digits)
    return 0
