"""Bodies of the abstract classes in backend.pxd, each of which says what a subclass that forgot it would
break, and of the queue of waiters."""

from linkerd2_py._ext.core.debug cimport L5D_DEBUG, check
from linkerd2_py._ext.exchange.observe cimport NOBODY


cdef class Waiter(Peer):
    cdef int leave(self) except -1:
        return 0 if self.queue is None else self.queue.remove(self)

    cdef int let_out(self) except -1:
        self.passage = None
        if self.seats is not None:
            self.seats.give_back()
            self.seats = None
        if self.held is not None:
            self.held.withdraw()
            self.held = None
        return 0

    cdef bint may_probe(self) noexcept:
        return False

    cdef int on_backend(self, Backend backend) except -1:
        raise NotImplementedError("Waiter.on_backend")

    cdef int on_unavailable(self, Unavailable why, int status, bytes text) except -1:
        raise NotImplementedError("Waiter.on_unavailable")

    cdef bint refused(self, Refusal refusal) except -1:
        raise NotImplementedError("Waiter.refused")

    cdef int on_backend_failed(self, FaultKind kind, int code) except -1:
        raise NotImplementedError("Waiter.on_backend_failed")

    cdef int on_profile(self, bint opaque) except -1:
        raise NotImplementedError("Waiter.on_profile")

    cdef int on_examined(self) except -1:
        raise NotImplementedError("Waiter.on_examined")

    cdef int on_let_in(self) except -1:
        raise NotImplementedError("Waiter.on_let_in")

    cdef int on_denied(self, Denial denial) except -1:
        raise NotImplementedError("Waiter.on_denied")

    cdef int on_stream(self, Stream half) except -1:
        raise NotImplementedError("Waiter.on_stream")

    cdef int on_transport(self, Transport transport) except -1:
        raise NotImplementedError("Waiter.on_transport")


cdef class WaiterQueue:
    cdef int append(self, Waiter waiter) except -1:
        if L5D_DEBUG:
            check(waiter.queue is None, b"a waiter stood in two queues")
        waiter.queue = self
        waiter.before = self.last
        if self.last is None:
            self.first = waiter
        else:
            self.last.behind = waiter
        self.last = waiter
        self.count += 1
        return 0

    cdef Waiter pop(self):
        cdef Waiter waiter = self.first
        if waiter is not None:
            self.remove(waiter)
        return waiter

    cdef int remove(self, Waiter waiter) except -1:
        cdef Waiter before = waiter.before, behind = waiter.behind
        if L5D_DEBUG:
            check(waiter.queue is self, b"a waiter left a queue where it did not stand")
        waiter.queue = None
        waiter.before = waiter.behind = None
        self.count -= 1
        if before is None:
            self.first = behind
        else:
            before.behind = behind
        if behind is None:
            self.last = before
        else:
            behind.before = before
        return 0

    cdef int take_all(self, WaiterQueue other) except -1:
        while other.count:
            self.append(other.pop())
        return 0


cdef class RequestExaminer(Examiner):
    cdef Passage examine(self, Waiter exchange, Head head):
        raise NotImplementedError("RequestExaminer.examine")


cdef class Backend(Candidate):
    cdef int serve(self, Waiter waiter, Wants wants) except -1:
        raise NotImplementedError("Backend.serve")

    cdef int withdraw(self, Waiter waiter) except -1:
        raise NotImplementedError("Backend.withdraw")

    cdef int hear(self, Verdict verdict, int64_t sent, int64_t hold_ns, int64_t now) except -1:
        return 0

    cdef bint proves(self, Span name) noexcept:
        return False


cdef class Logical(Actor):
    cdef int choose(self, Waiter waiter) except -1:
        raise NotImplementedError("Logical.choose")

    cdef int await_profile(self, Waiter waiter) except -1:
        raise NotImplementedError("Logical.await_profile")

    cdef int withdraw(self, Waiter waiter) except -1:
        raise NotImplementedError("Logical.withdraw")

    cdef bint is_ready(self) noexcept:
        return True


cdef class Router(Dispatch):
    def __cinit__(self):
        self.seeker = NOBODY

    cdef Peer new_exchange(self, Stream half):
        raise NotImplementedError("Router.new_exchange")

    cdef Logical logical_for(self, Waiter exchange, Head head):
        raise NotImplementedError("Router.logical_for")

    cdef bint let_in_later(self, Waiter exchange, Head head) except -1:
        raise NotImplementedError("Router.let_in_later")

    cdef Plan plan_for(self, Logical logical, Head head):
        return None

    cdef int enter(self, Logical way) except -1:
        raise NotImplementedError("Router.enter")

    cdef int leave_way(self, Logical way) except -1:
        raise NotImplementedError("Router.leave_way")

    cdef bint is_forward_proxy(self) noexcept:
        return False

    cdef HttpMetrics metrics_for(self, Logical logical, Backend backend, Head head, Passage passage):
        return None if backend is None else backend.http

    cdef int stamp(self, Logical logical, Backend backend, Head head) except -1:
        return 0

    cdef int count_error(self, ResponseError error) except -1:
        return 0

    cdef int say(self, Logical logical, Backend backend, int status, const char* text, size_t n) except -1:
        return 0

    cdef int ended(self, Logical logical) except -1:
        return 0

    cdef int take_over(self, Transport transport, Logical logical) except -1:
        raise NotImplementedError("Router.take_over")

    cdef int tunnel(self, Transport client, Transport server, Seating seats) except -1:
        raise NotImplementedError("Router.tunnel")
