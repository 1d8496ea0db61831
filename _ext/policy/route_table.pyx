# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Ordered rules, each a condition with the plan of its requests."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.policy.match cimport Condition, Line, beginning_of, holds, line_of

RULES_MAX = 1000


cdef class RouteTable:
    def __init__(self, rules=(), *, Plan otherwise=None):
        cdef Condition condition
        cdef Plan plan
        self.otherwise = otherwise
        self.kept = [(<Condition?> condition, <Plan?> plan) for condition, plan in rules]
        self.count = len(self.kept)
        if self.count > RULES_MAX:
            raise ValueError(f"a table of more than {RULES_MAX} rules")
        self.rules = <Rule*> malloc(max(1, self.count) * sizeof(Rule))
        if self.rules == NULL:
            raise MemoryError
        for at, (condition, plan) in enumerate(self.kept):
            self.rules[<Py_ssize_t> at] = Rule(
                beginning_of(condition.steps), condition.steps, <PyObject*> plan,
            )

    def __dealloc__(self):
        free(self.rules)

    cdef Plan plan_for(self, Head head):
        cdef Line line
        cdef Py_ssize_t i
        if self.count:
            line = line_of(head)
            for i in range(self.count):
                if may_hold(&self.rules[i].beginning, line.path) and holds(self.rules[i].steps, head, &line):
                    return <Plan> self.rules[i].plan
        return self.otherwise


cdef inline bint may_hold(const Beginning* beginning, Span path) noexcept:
    cdef uint32_t length = beginning.length
    if path.len < length or beginning.whole and path.len != length:
        return False
    # Their last bytes tell more of them apart than their first.
    return length == 0 or (
        path.ptr[length - 1] == beginning.text[length - 1] and memcmp(path.ptr, beginning.text, length) == 0
    )


cdef class NamedRoutes:
    def __cinit__(self):
        self.tables = {}

    cdef RouteTable of(self, bytes name):
        cdef RouteTable table = self.tables.get(name)
        if table is None and self.on_unknown is not None:
            self.on_unknown(name)
            table = self.tables.get(name)
        return table

    def install(self, bytes name not None, RouteTable table not None):
        self.tables[name] = table
        self.version += 1

    def remove(self, bytes name not None):
        if self.tables.pop(name, None) is not None:
            self.version += 1

    def names(self):
        return list(self.tables)
