# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Ordered rules, each a condition with the plan of its requests."""


cdef class RouteTable(Rules):
    def __init__(self, rules=(), *, Plan otherwise=None):
        pairs = [(condition, <Plan?> plan) for condition, plan in rules]
        Rules.__init__(self, [condition for condition, _ in pairs])
        self.plans = [plan for _, plan in pairs]
        self.otherwise = otherwise

    cdef Plan plan_for(self, Head head):
        cdef Py_ssize_t found = self.first(head)
        return self.otherwise if found < 0 else <Plan> self.plans[found]


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
