# cython: language_level=3
"""Plans are made once per route and read by each exchange: here is only how they are made."""

from linkerd2_py._ext.exchange.observe cimport Observer


cdef class Plan:
    def __init__(self, *, observers=()):
        self.observers = tuple(observers)
        for observer in self.observers:
            if not isinstance(observer, Observer):
                raise TypeError(f"{observer!r} is no Observer")

    def __repr__(self):
        return f"<Plan observers={len(self.observers)}>"
