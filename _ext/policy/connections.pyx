# cython: language_level=3, cdivision=True
"""Once a connection: a look for its name and each of its endings, and a draw among few ways."""

from linkerd2_py._ext.core.random cimport random_below
from linkerd2_py._ext.metrics.connections cimport ENDED_WELL, end_named

cdef uint64_t WEIGHTS_MAX = <uint64_t> 1 << 32
# Control characters in a text that becomes a line of the log
cdef bytes SPACES = bytes(32 if byte < 32 or byte == 127 else byte for byte in range(256))


cdef class ConnectionWay:
    def __init__(
        self, Logical logical=None, *, uint64_t weight=1, str refusal not None="", str text not None="",
    ):
        self.logical = logical
        self.weight = weight
        self.refusal = end_named(refusal)
        self.text = bytes(text.encode("ascii", "replace")).translate(SPACES)

    @property
    def refused(self):
        return self.refusal != ENDED_WELL


cdef class ConnectionRoute:
    def __init__(self, ways, *, ConnectionMetrics metrics=None):
        cdef ConnectionWay way
        made = []
        for way in ways:
            if way.weight:
                made.append(self.copied(way))
        self.ways = tuple(made)
        if not self.ways or self.total > WEIGHTS_MAX:
            raise ValueError("ConnectionRoute: some way, and weights of 2^32 in all at most")
        self.metrics = metrics

    def copied(self, ConnectionWay given not None):
        """Whoever gave it may give it to another route, too."""
        cdef ConnectionWay way = ConnectionWay.__new__(ConnectionWay)
        way.logical, way.weight = given.logical, given.weight
        way.refusal, way.text = given.refusal, given.text
        self.total += way.weight
        way.until = self.total
        return way

    cdef ConnectionWay pick(self):
        cdef ConnectionWay way
        cdef uint64_t drawn
        if len(self.ways) == 1:
            return <ConnectionWay> self.ways[0]
        drawn = random_below(self.total)
        for way in self.ways:
            if drawn < way.until:
                return way
        return <ConnectionWay> self.ways[-1]


cdef class ConnectionRoutes:
    def __init__(self, names=(), *, ConnectionRoute otherwise=None, bint by_name=False):
        cdef ConnectionWay way
        self.whole, self.below = {}, {}
        self.otherwise = otherwise
        self.by_name = by_name
        if otherwise is not None and not by_name and len(otherwise.ways) == 1:
            way = <ConnectionWay> otherwise.ways[0]
            self.plain = way.logical is None and way.refusal == ENDED_WELL
        for name, route in names:
            ending = name.removeprefix("*.")
            table = self.whole if ending == name else self.below
            table.setdefault(ending.lower().encode("ascii", "replace"), <ConnectionRoute?> route)

    cdef ConnectionRoute route_for(self, bytes name):
        cdef ConnectionRoute found
        cdef Py_ssize_t dot
        if not self.by_name:
            return self.otherwise
        if name is None:
            return None
        found = self.whole.get(name)
        dot = name.find(b".")
        while found is None and dot >= 0:
            found = self.below.get(name[dot + 1:])
            dot = name.find(b".", dot + 1)
        return self.otherwise if found is None else found
