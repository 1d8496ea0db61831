# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What Python says is done in a turn of the loop, for it may say it from anywhere."""

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.debug cimport LIVE_HELD, born, gone
from linkerd2_py._ext.exchange.exchange cimport Exchange
from linkerd2_py._ext.exchange.head cimport FIELD_DROPPED, HTTP_2, HTTP_10, L5D_FIELDS, Field
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.route.whence cimport transport_of

cdef Denial FAILED = Denial(500, text="whoever asks about the request failed")


cdef class Checkpoint(Gate):
    def __init__(self, Loop loop not None, *, on_request not None):
        self.loop = loop
        self.on_request = on_request
        self.waiting = WaiterQueue.__new__(WaiterQueue)

    @property
    def count(self):
        return self.waiting.count

    cdef int hold(self, Waiter exchange, Head head, bytes target) except -1:
        cdef HeldRequest held = HeldRequest.__new__(HeldRequest)
        held.gate = self
        held.exchange = exchange
        held.head = head
        held.target = target
        exchange.held = held
        self.waiting.append(exchange)
        try:
            self.on_request(held)
        except Exception as error:
            # What cannot be asked about is not let in.
            self.loop.report(error, self)
            held.denial = FAILED
            held.settle(LEAVE_DENIED)
        return 0


cdef class HeldRequest(Held):
    def __cinit__(self):
        born(LIVE_HELD)

    def __dealloc__(self):
        gone(LIVE_HELD)

    cdef int withdraw(self) except -1:
        cdef Waiter exchange = self.exchange
        tell, self.on_gone = self.on_gone, None
        self.exchange = None
        self.head = None
        if exchange is not None:
            exchange.leave()
        if tell is None:
            return 0
        try:
            tell()
        except Exception as error:
            self.gate.loop.report(error, self)
        return 0

    cdef int settle(self, Leave leave) except -1:
        """The first word holds."""
        if self.exchange is None or self.leave != LEAVE_AWAITED:
            return 0
        self.leave = leave
        self.on_gone = None
        return self.gate.loop.defer(self)

    cdef int on_deferred(self) except -1:
        cdef Waiter exchange = self.exchange
        cdef Head head = self.head
        if exchange is None:
            return 0
        self.exchange = None
        self.head = None
        exchange.leave()
        try:
            if self.leave == LEAVE_DENIED:
                return exchange.on_denied(self.denial)
            if self.edits is not None:
                self.edits.apply(head, 0)
            return exchange.on_let_in()
        except Exception as error:
            return self.gate.loop.blame(error, exchange)

    # ---- from Python

    def let_in(self, Edits edits=None):
        self.gate.loop.now = now_ns()
        if self.leave == LEAVE_AWAITED:
            self.edits = edits
        self.settle(LEAVE_GIVEN)

    def deny(self, Denial denial not None):
        self.gate.loop.now = now_ns()
        if self.leave == LEAVE_AWAITED:
            self.denial = denial
        self.settle(LEAVE_DENIED)

    @property
    def over(self):
        return self.exchange is None or self.leave != LEAVE_AWAITED

    @property
    def method(self):
        return b"" if self.head is None else self.head.method.ptr[:self.head.method.len]

    @property
    def path(self):
        return b"" if self.head is None else self.head.path.ptr[:self.head.path.len]

    @property
    def authority(self):
        return b"" if self.head is None else self.head.authority.ptr[:self.head.authority.len]

    @property
    def scheme(self):
        return b"" if self.head is None else self.head.scheme.ptr[:self.head.scheme.len]

    @property
    def version(self):
        if self.head is None or self.head.version == HTTP_2:
            return "HTTP/2"
        return "HTTP/1.0" if self.head.version == HTTP_10 else "HTTP/1.1"

    @property
    def size(self):
        if self.head is None or self.head.end:
            return 0
        return self.head.content_length

    @property
    def peer(self):
        cdef Exchange exchange
        cdef Transport transport
        if not isinstance(self.exchange, Exchange):
            return None
        exchange = <Exchange> self.exchange
        transport = None if exchange.server is None else transport_of(exchange.server)
        return None if transport is None else transport.peer_address()

    def fields(self):
        """Nobody is told what a client says in our name."""
        cdef list found = []
        cdef Field* field
        cdef int i
        if self.head is None:
            return found
        for i in range(self.head.count):
            field = &self.head.fields[i]
            if not field.flags & FIELD_DROPPED and not <int> L5D_FIELDS >> field.id & 1:
                found.append((field.name[:field.name_len].lower(), field.value[:field.value_len]))
        return found
