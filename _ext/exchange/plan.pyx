# cython: language_level=3, cdivision=True
"""Plans are made once per route and read by each exchange: here is how they are made."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.random cimport random_below
from linkerd2_py._ext.exchange.observe cimport Observer
from linkerd2_py._ext.metrics.http cimport CLASS_FAILURE, CLASS_SUCCESS

cdef enum:
    STATUSES = 1000

# Bytes of a grpc-message: printable ASCII but the percent sign stands for itself (gRPC over HTTP/2)
cdef tuple ENCODED = tuple(
    b"%c" % byte if 32 <= byte < 127 and byte != 37 else b"%%%02X" % byte for byte in range(256)
)

# Control characters in a text that becomes a field
cdef bytes SPACES = bytes(32 if byte < 32 or byte == 127 else byte for byte in range(256))


cdef class ResponseClasses:
    def __init__(self, *, told, failures):
        everything = (<object> 1 << STATUSES) - 1
        self.told = ((told | failures) & everything).to_bytes(STATUSES // 8, "little")
        self.failures = (failures & everything).to_bytes(STATUSES // 8, "little")

    cdef bint says(self, int status) noexcept:
        return 0 <= status < STATUSES and PyBytes_AS_STRING(self.told)[status >> 3] >> (status & 7) & 1

    cdef Classification of(self, int status) noexcept:
        if PyBytes_AS_STRING(self.failures)[status >> 3] >> (status & 7) & 1:
            return CLASS_FAILURE
        return CLASS_SUCCESS


cdef class Refusal:
    def __init__(
        self, int status=0, str text not None="", *, int code=-1, uint32_t share=1, uint32_t of=1,
        Redirect redirect=None,
    ):
        if status == 0 and redirect is not None:
            share = 0
        elif not 200 <= status < STATUSES or of == 0:
            raise ValueError(f"Refusal: status {status}, {share} of {of} requests")
        self.status = status
        self.redirect = redirect
        self.text = bytes(text.encode("ascii", "replace")).translate(SPACES)
        self.code = code
        self.message = b"".join([ENCODED[byte] for byte in text.encode()])
        self.share = share
        self.of = of

    cdef bint means(self) noexcept:
        return self.share >= self.of or random_below(self.of) < self.share


cdef class Ways:
    pass


cdef class Plan:
    def __init__(
        self, *, observers=(), HttpMetrics metrics=None, ResponseClasses classes=None, tuple labels=None,
        bint pending=False, Refusal refusal=None, Ways ways=None, RouteMetrics route=None,
        Edits request_edits=None, Edits response_edits=None, Timeouts timeouts=None, Retry retry=None,
        bint heeds_headers=False, HttpMetrics actual=None,
    ):
        self.observers = tuple(observers)
        for observer in self.observers:
            if not isinstance(observer, Observer):
                raise TypeError(f"{observer!r} is no Observer")
        self.watched = len(self.observers) > 0
        self.metrics = metrics
        self.classes = classes
        self.labels = labels
        self.pending = pending
        self.refusal = refusal
        self.ways = ways
        self.route = route
        self.request_edits = request_edits
        self.response_edits = response_edits
        self.timeouts = timeouts
        self.retry = retry
        self.heeds_headers = heeds_headers
        self.paces = timeouts is not None or retry is not None or heeds_headers
        self.actual = actual
        self.steers = (
            pending or refusal is not None or ways is not None or request_edits is not None
        )

    def __repr__(self):
        return f"<Plan observers={len(self.observers)}>"
