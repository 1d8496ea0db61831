"""A gate whose requests Python lets in or not, each as soon as it knows."""

from cython cimport final
from linkerd2_py._ext.exchange.backend cimport Waiter, WaiterQueue
from linkerd2_py._ext.exchange.edits cimport Edits
from linkerd2_py._ext.exchange.gate cimport Denial, Gate, Held
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.io.loop cimport Loop

cdef enum Leave:
    LEAVE_AWAITED, LEAVE_GIVEN, LEAVE_DENIED

@final
cdef class Checkpoint(Gate):
    cdef Loop loop
    # callable(HeldRequest): somebody is to be asked about it. What it raises denies the request.
    cdef object on_request
    cdef WaiterQueue waiting          # owned; those that are asked about
    # The exchange stands in the queue from now on. `target`: the key of what it is addressed to.
    cdef int hold(self, Waiter exchange, Head head, bytes target) except -1

@final
cdef class HeldRequest(Held):
    cdef Checkpoint gate              # owned
    cdef Waiter exchange              # owned while it waits: breaks the cycle
    cdef Head head                    # borrowed as long
    cdef readonly bytes target
    cdef Leave leave
    cdef Edits edits                  # owned, or None: what its head points into once it is let in
    cdef Denial denial                # owned where it is denied
    # callable() or None: it is over, and nobody waits for an answer. Once, and then it is let go of.
    cdef public object on_gone
    cdef int settle(self, Leave leave) except -1
