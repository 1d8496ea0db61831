# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Ordered rules, each a condition with the plan of its requests."""

from cpython.list cimport PyList_GET_ITEM

from linkerd2_py._ext.policy.match cimport Condition


cdef class RouteTable(Rules):
    def __init__(self, rules=(), *, Plan otherwise=None):
        self.plans = []
        self.otherwise = otherwise
        for condition, plan in rules:
            self.put(<Condition?> condition, <Plan?> plan)

    cdef int put(self, Condition condition, Plan plan) except -1:
        self.append(condition)
        self.plans.append(plan)
        return 0

    cdef Plan plan_for(self, Head head):
        cdef Py_ssize_t found = self.first(head)
        return self.otherwise if found < 0 else <Plan> PyList_GET_ITEM(self.plans, found)


cdef class TableDraft:
    def __init__(self, *, Plan otherwise=None):
        self.table = RouteTable(otherwise=otherwise)

    def add(self, Condition condition not None, Plan plan not None):
        self.unfinished().put(condition, plan)

    def finished(self):
        cdef RouteTable table = self.unfinished()
        self.table = None
        return table

    cdef RouteTable unfinished(self):
        if self.table is None:
            raise ValueError("the table is finished")
        return self.table


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
