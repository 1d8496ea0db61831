# cython: language_level=3
"""Owns the handles, bounds their number, forgets idle ones, and plans a rendering.

It never touches a counter on the hot path.
"""

import re

from cpython.ref cimport Py_REFCNT
from libc.stdint cimport int64_t
from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.metrics.exposition cimport (
    FAMILY_COUNTER,
    FAMILY_DISTRIBUTION,
    FAMILY_GAUGE,
    FAMILY_LATENCIES,
    FAMILY_REQUESTS,
    FAMILY_RESPONSES,
    FAMILY_TCP_CLOSES,
    FAMILY_TCP_DURATIONS,
    FAMILY_TCP_OPENS,
    FAMILY_TCP_OPEN_NOW,
    FAMILY_TCP_READ,
    FAMILY_TCP_WRITE,
    Rendering,
    family_of,
)
from linkerd2_py._ext.metrics.http cimport HttpMetrics
from linkerd2_py._ext.metrics.labels cimport LABEL_TEXT_MAX, make_labels
from linkerd2_py._ext.metrics.process cimport ProcessSample
from linkerd2_py._ext.metrics.series cimport Counter, Distribution, Gauge, Series
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

cdef enum:
    # Lookups beyond the bound between two searches for idle series: a search walks all of them.
    SWEEP_EVERY = 64

cdef int64_t TEN_MINUTES_NS = 600_000_000_000
cdef dict KINDS = {
    Counter: FAMILY_COUNTER, Gauge: FAMILY_GAUGE, Distribution: FAMILY_DISTRIBUTION,
}
# Counted by route of a profile, not by endpoint.
cdef bytes ROUTE = b"route_"
cdef bytes ROUTE_ACTUAL = b"route_actual_"
cdef bytes OUTBOUND = b'direction="outbound"'
cdef bytes OVERFLOW_LABELS = b'overflow="true"'
cdef object NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
# What the engine writes itself.
cdef object RESERVED = re.compile(
    rb".*(request_total|response_total|response_latency_ms)\Z"
    rb"|tcp_(open_total|open_connections|close_total|read_bytes_total|write_bytes_total)\Z"
    rb"|tcp_connection_duration_ms\Z"
    rb"|process_"
)


cdef class Handles:
    """The handles of one kind."""

    def __cinit__(self, type kind):
        self.kind = kind
        self.by_labels = {}

    cdef int sweep(self, int64_t now, int64_t retain_ns) except -1:
        """Forget what nobody holds and nothing changed for `retain_ns`."""
        cdef list idle = []
        cdef bytes labels
        cdef Series series
        for labels, series in self.by_labels.items():
            series.settle(now)
            # Two references are the dict's and this loop's; any other belongs to someone who may still count.
            if now - series.touched_ns > retain_ns and Py_REFCNT(series) <= 2:
                idle.append(labels)
        for labels in idle:
            del self.by_labels[labels]
        return 0

    cdef list snapshot(self):
        cdef list series = list(self.by_labels.values())
        if self.overflow is not None:
            series.append(self.overflow)
        return series

    cdef int64_t newest(self) except -1:
        cdef int64_t newest = 0
        cdef Series series
        for series in self.by_labels.values():
            newest = max(newest, series.touched_ns)
        return newest


cdef class ScalarFamily(Handles):
    """A family by the name that whoever counts gives it."""


cdef class Registry:
    """Every series of the process, and its text.

    `max_series`: label sets per family; more share one series labelled `overflow="true"`.
    `retain_idle_ns`: how long a series stays that nobody holds and nothing changes.
    """

    def __init__(self, *, max_series = 2000, retain_idle_ns = TEN_MINUTES_NS):
        if max_series < 1 or retain_idle_ns < 0:
            raise ValueError("Registry: max_series must be at least 1 and retain_idle_ns at least 0")
        self.max_series = max_series
        self.retain_idle_ns = retain_idle_ns
        self.http_handles = {}
        self.tcp_handles = Handles(TcpMetrics)
        self.scalars = {}
        self.held = []

    cdef HttpMetrics http(self, bytes prefix, bytes labels):
        cdef Handles handles = self.http_handles.get(prefix)
        if handles is None:
            if prefix and NAME.match(prefix) is None:
                raise ValueError(f"metric prefix {prefix!r}: use letters, digits and underscores")
            handles = self.http_handles[prefix] = Handles(HttpMetrics)
        return <HttpMetrics> self.admit(handles, labels, prefix + b"request_total")

    cdef TcpMetrics tcp(self, bytes labels):
        return <TcpMetrics> self.admit(self.tcp_handles, labels, b"tcp_open_total")

    cdef Series admit(self, Handles handles, bytes labels, bytes family):
        """The handle of `labels`, made if the bound allows, else the overflow handle."""
        cdef Series series = handles.by_labels.get(labels)
        if series is not None:
            return series
        if len(labels) > LABEL_TEXT_MAX:
            return self.overflow_of(handles, family)
        if len(handles.by_labels) >= self.max_series:
            if handles.overflowed is None or handles.overflowed.count % SWEEP_EVERY == 0:
                self.latest_ns = max(self.latest_ns, handles.newest())
                handles.sweep(self.latest_ns, self.retain_idle_ns)
            if len(handles.by_labels) >= self.max_series:
                return self.overflow_of(handles, family)
        series = self.make(handles, labels)
        handles.by_labels[labels] = series
        return series

    cdef Series make(self, Handles handles, bytes labels):
        cdef Series series = handles.kind.__new__(handles.kind, labels)
        if handles.kind is Distribution:
            family = <ScalarFamily> handles
            (<Distribution> series).divide(family.bounds, family.texts)
        return series

    cdef Series overflow_of(self, Handles handles, bytes family):
        cdef Handles counters
        if handles.overflow is None:
            handles.overflow = self.make(handles, OVERFLOW_LABELS)
            counters = self.scalar_family(
                Counter,
                b"proxy_metrics_overflow_total",
                b"Lookups of label sets beyond the bound of a family.",
            )
            # One per family and not subject to the bound it reports.
            handles.overflowed = Counter.__new__(Counter, make_labels([("family", family)]))
            counters.by_labels[handles.overflowed.labels] = handles.overflowed
        handles.overflowed.count += 1
        return handles.overflow

    cdef ScalarFamily scalar_family(self, type kind, bytes name, bytes help):
        cdef ScalarFamily family = self.scalars.get(name)
        if family is None:
            if NAME.match(name) is None or RESERVED.match(name) is not None:
                named = name.decode(errors="replace")
                raise ValueError(f"metric name {named!r}: not a metric name, or one of the engine's own")
            family = ScalarFamily(kind)
            family.help = help.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
            self.scalars[name] = family
        if family.kind is not kind:
            raise ValueError(f"metric {name.decode()} is a {family.kind.__name__.lower()} already")
        return family

    cdef Series scalar(self, type kind, bytes name, bytes help, bytes labels):
        return self.admit(self.scalar_family(kind, name, help), labels, name)

    cdef Counter counted(self, bytes name, bytes help, bytes labels):
        return <Counter> self.scalar(Counter, name, help, labels)

    cdef Gauge gauged(self, bytes name, bytes help, bytes labels):
        return <Gauge> self.scalar(Gauge, name, help, labels)

    cdef Distribution spread(self, bytes name, bytes help, tuple bounds, bytes labels):
        cdef ScalarFamily family = self.scalar_family(Distribution, name, help)
        if family.bounds is None:
            if not bounds or any(one >= other for one, other in zip(bounds, bounds[1:])):
                raise ValueError(f"metric {name.decode()}: the bounds {bounds} do not rise")
            family.bounds = bounds
            family.texts = (*(repr(float(bound)).encode() for bound in bounds), b"+Inf")
        elif family.bounds != bounds:
            raise ValueError(f"metric {name.decode()} has the bounds {family.bounds} already")
        return <Distribution> self.admit(family, labels, name)

    def requests(self, str prefix, labels):
        """What PREFIXrequest_total and its siblings count of these labels, for who counts in C."""
        return self.http(prefix.encode(), make_labels(labels))

    def counter(self, str name, str help_text, labels = ()):
        """The counter of these labels: the same object for the same labels. ValueError for a bad or taken
        name.

        Keep it: a counter that nobody holds is forgotten when idle.
        """
        return self.scalar(Counter, name.encode(), help_text.encode(), make_labels(labels))

    def gauge(self, str name, str help_text, labels = ()):
        """As `counter`."""
        return self.scalar(Gauge, name.encode(), help_text.encode(), make_labels(labels))

    def distribution(self, str name, str help_text, tuple bounds not None, labels = ()):
        """A histogram with these bounds, as `counter`; all of a family have the same."""
        return self.spread(name.encode(), help_text.encode(), bounds, make_labels(labels))

    def info(self, str name, str help_text, labels):
        """A constant 1 whose labels are the message, such as proxy_build_info; it stays."""
        cdef Gauge gauge = self.gauge(name, help_text, labels)
        gauge.level = 1
        self.held.append(gauge)

    def render(self, now = None):
        """The text format 0.0.4 of this moment's series: an iterator of bytes, each of 1 to 65,536, cut
        anywhere.

        `now`: CLOCK_MONOTONIC ns, read from the clock when absent. Idle series are dropped first.
        """
        self.latest_ns = now_ns() if now is None else now
        cdef Handles handles
        for handles in [*self.http_handles.values(), self.tcp_handles, *self.scalars.values()]:
            handles.sweep(self.latest_ns, self.retain_idle_ns)
        return Rendering(self.plan(), ProcessSample())

    cdef list plan(self):
        cdef list families = []
        cdef bytes name
        cdef Handles handles
        cdef ScalarFamily scalar
        for name, handles in self.http_handles.items():
            if name == ROUTE_ACTUAL:
                continue
            families += http_families(name, handles.snapshot())
            if name == ROUTE:
                families += actual_families(handles.snapshot(), self.http_handles.get(ROUTE_ACTUAL))
        families += tcp_families(self.tcp_handles.snapshot())
        for name, scalar in self.scalars.items():
            families.append(family_of(KINDS[scalar.kind], name, scalar.help, scalar.snapshot()))
        return families


cdef list http_families(bytes prefix, list series):
    return [
        family_of(FAMILY_REQUESTS, prefix + b"request_total", b"Requests whose headers arrived.", series),
        family_of(
            FAMILY_RESPONSES,
            prefix + b"response_total",
            b"Responses that ended, by status and classification.",
            series,
        ),
        family_of(
            FAMILY_LATENCIES, prefix + b"response_latency_ms",
            b"From request headers to the first frame of the response body, or its end, in milliseconds.",
            series,
        ),
    ]


cdef list actual_families(list series, Handles actual):
    """What was sent for routes, beside what was asked of them: more where requests are tried again, and then
    it is counted on its own. Only of what goes out, as linkerd2-proxy has it."""
    cdef Series one
    cdef list counted = [] if actual is None else actual.snapshot()
    apart = {one.labels for one in counted}
    cdef list sent = [one for one in series if OUTBOUND in one.labels and one.labels not in apart]
    sent += counted
    return [
        family_of(FAMILY_REQUESTS, b"route_actual_request_total", b"Requests sent for a route.", sent),
        family_of(
            FAMILY_RESPONSES,
            b"route_actual_response_total",
            b"Responses to requests sent for a route, by status and classification.",
            sent,
        ),
    ]


cdef list tcp_families(list series):
    return [
        family_of(FAMILY_TCP_OPENS, b"tcp_open_total", b"Connections opened.", series),
        family_of(FAMILY_TCP_OPEN_NOW, b"tcp_open_connections", b"Connections open now.", series),
        family_of(FAMILY_TCP_READ, b"tcp_read_bytes_total", b"Bytes read from peers.", series),
        family_of(FAMILY_TCP_WRITE, b"tcp_write_bytes_total", b"Bytes written to peers.", series),
        family_of(
            FAMILY_TCP_CLOSES, b"tcp_close_total", b"Connections closed, by errno (empty: clean).", series,
        ),
        family_of(
            FAMILY_TCP_DURATIONS,
            b"tcp_connection_duration_ms",
            b"How long closed connections were open, in milliseconds.",
            series,
        ),
    ]
