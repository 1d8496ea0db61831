# cython: language_level=3
"""A queue of waiters for tests. Not part of a wheel."""

from linkerd2_py._ext.exchange.backend cimport Waiter, WaiterQueue


cdef class Named(Waiter):
    """A waiter that can be told from others."""
    cdef readonly str name

    def __init__(self, name: str):
        self.name = name

    def leave_queue(self) -> None:
        self.leave()


cdef class Line:
    """One queue of waiters."""
    cdef WaiterQueue queue

    def __init__(self):
        self.queue = WaiterQueue.__new__(WaiterQueue)

    def append(self, Named waiter not None) -> None:
        self.queue.append(waiter)

    def pop(self) -> Named | None:
        return self.queue.pop()

    def take_all(self, Line other not None) -> None:
        self.queue.take_all(other.queue)

    def __len__(self):
        return self.queue.count
