"""Bodies of the abstract classes in backend.pxd: each says what a subclass that forgot it would break."""


cdef class Waiter(Peer):
    cdef int on_backend(self, Backend backend) except -1:
        raise NotImplementedError("Waiter.on_backend")

    cdef int on_unavailable(self, Unavailable why, int status, bytes text) except -1:
        raise NotImplementedError("Waiter.on_unavailable")

    cdef int on_backend_failed(self, FaultKind kind, int code) except -1:
        raise NotImplementedError("Waiter.on_backend_failed")

    cdef int on_profile(self, bint opaque) except -1:
        raise NotImplementedError("Waiter.on_profile")

    cdef int on_stream(self, Stream half) except -1:
        raise NotImplementedError("Waiter.on_stream")

    cdef int on_transport(self, Transport transport) except -1:
        raise NotImplementedError("Waiter.on_transport")


cdef class Backend(Candidate):
    cdef int serve(self, Waiter waiter, Wants wants) except -1:
        raise NotImplementedError("Backend.serve")

    cdef int withdraw(self, Waiter waiter) except -1:
        raise NotImplementedError("Backend.withdraw")

    cdef bint proves(self, Span name) noexcept:
        return False


cdef class Logical(Actor):
    cdef int choose(self, Waiter waiter) except -1:
        raise NotImplementedError("Logical.choose")

    cdef int await_profile(self, Waiter waiter) except -1:
        raise NotImplementedError("Logical.await_profile")

    cdef int withdraw(self, Waiter waiter) except -1:
        raise NotImplementedError("Logical.withdraw")


cdef class Router(Dispatch):
    cdef Peer new_exchange(self, Stream half):
        raise NotImplementedError("Router.new_exchange")

    cdef Logical logical_for(self, Waiter exchange, Head head):
        raise NotImplementedError("Router.logical_for")

    cdef bint is_forward_proxy(self) noexcept:
        return False

    cdef HttpMetrics metrics_for(self, Logical logical, Backend backend, Head head):
        return None if backend is None else backend.http

    cdef int stamp(self, Logical logical, Backend backend, Head head) except -1:
        return 0

    cdef int ended(self, Logical logical) except -1:
        return 0

    cdef int take_over(self, Transport transport, Logical logical) except -1:
        raise NotImplementedError("Router.take_over")

    cdef int tunnel(self, Transport client, Transport server) except -1:
        raise NotImplementedError("Router.tunnel")
