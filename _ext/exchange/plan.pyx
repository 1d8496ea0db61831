# cython: language_level=3, cdivision=True
"""Plans are made once per route and read by each exchange: here is how they are made."""

from cpython.bytes cimport PyBytes_AS_STRING
from linkerd2_py._ext.exchange.observe cimport Observer
from linkerd2_py._ext.metrics.http cimport CLASS_FAILURE, CLASS_SUCCESS

cdef enum:
    STATUSES = 1000


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


cdef class Plan:
    def __init__(
        self, *, observers=(), HttpMetrics metrics=None, ResponseClasses classes=None, tuple labels=None,
    ):
        self.observers = tuple(observers)
        for observer in self.observers:
            if not isinstance(observer, Observer):
                raise TypeError(f"{observer!r} is no Observer")
        self.watched = len(self.observers) > 0
        self.metrics = metrics
        self.classes = classes
        self.labels = labels

    def __repr__(self):
        return f"<Plan observers={len(self.observers)}>"
