# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Conditions of many, told apart by what paths begin with before one is looked at."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from linkerd2_py._ext.policy.match cimport Condition, Line, beginning_of, holds, line_of

RULES_MAX = 1000


cdef class Rules:
    def __init__(self, conditions=()):
        cdef Condition condition
        cdef Py_ssize_t i
        self.conditions = tuple(conditions)
        self.count = len(self.conditions)
        if self.count > RULES_MAX:
            raise ValueError(f"a table of more than {RULES_MAX} rules")
        self.rules = <Rule*> malloc(max(1, self.count) * sizeof(Rule))
        if self.rules == NULL:
            raise MemoryError
        for i in range(self.count):
            condition = <Condition?> self.conditions[i]
            self.rules[i] = Rule(beginning_of(condition.steps), condition.steps)

    def __dealloc__(self):
        free(self.rules)

    cdef Py_ssize_t first(self, Head head) noexcept:
        cdef Line line
        cdef Py_ssize_t i
        if self.count == 0:
            return -1
        line = line_of(head)
        for i in range(self.count):
            if may_hold(&self.rules[i].beginning, line.path) and holds(self.rules[i].steps, head, &line):
                return i
        return -1


cdef inline bint may_hold(const Beginning* beginning, Span path) noexcept:
    cdef uint32_t length = beginning.length
    if path.len < length or beginning.whole and path.len != length:
        return False
    # Their last bytes tell more of them apart than their first.
    return length == 0 or (
        path.ptr[length - 1] == beginning.text[length - 1] and memcmp(path.ptr, beginning.text, length) == 0
    )
