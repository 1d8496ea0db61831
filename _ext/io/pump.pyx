# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Bytes from one transport to another, both ways, without looking at them.

A chunk is read into the reader's inbox and written from there; the outbox is not used, so a direction never
holds more than its one inbox.
"""

from linkerd2_py._ext.core.buffer cimport BUFFER_LARGE, BUFFER_SMALL, Buffer
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_PUMP, born, gone
from linkerd2_py._ext.core.fault cimport FAULT_IO, FAULT_NONE
from linkerd2_py._ext.io.transport cimport PAUSE_PEER_FULL

cdef class PumpOwner(Actor):
    cdef int on_pump_closed(self, Pump pump, FaultKind kind, int code) except -1:
        return 0


cdef class PumpHalf(Session):
    cdef int on_readable(self) except -1:
        return self.forward()

    cdef int on_read_eof(self) except -1:
        self.pump.ending(self)
        self.ended = True
        return self.forward()

    cdef int on_drained(self) except -1:
        # Our transport takes bytes again: it is the other direction that waited for it.
        cdef Pump pump = self.pump
        cdef PumpHalf other = pump.downward if self is pump.upward else pump.upward
        return 0 if other is None else other.forward()

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        if self.pump is None:
            return 0
        self.pump.ending(self)
        return self.pump.broke(kind, code)

    cdef int on_broken(self) except -1:
        return 0 if self.pump is None else self.pump.broke(FAULT_IO, 0)

    cdef int forward(self) except -1:
        cdef PumpHalf alive = self
        cdef Transport transport = self.transport
        cdef Buffer inbox
        if transport is None or self.finished:
            return 0
        inbox = transport.inbox
        if inbox is not None and inbox.size():
            # A read that filled its buffer says bulk; a small one says conversation.
            transport.read_size = BUFFER_LARGE if inbox.size() >= BUFFER_SMALL else BUFFER_SMALL
            inbox.skip(self.sink.try_write(inbox.head(), inbox.size()))
            if inbox.size():
                if not self.waiting:
                    self.waiting = True
                    transport.pause(PAUSE_PEER_FULL)
                return 0
        if self.waiting:
            self.waiting = False
            transport.resume(PAUSE_PEER_FULL)
        if not self.ended:
            return 0
        self.finished = True
        self.sink.shutdown_write()
        return self.pump.half_finished()


cdef class Pump(Actor):
    def __cinit__(self):
        if L5D_DEBUG:
            born(LIVE_PUMP)

    def __dealloc__(self):
        if L5D_DEBUG:
            gone(LIVE_PUMP)

    cdef int start(self) except -1:
        cdef PumpHalf upward = self.upward
        cdef PumpHalf downward = self.downward
        # Both ends must have their halves before a byte moves: news of a full sink reaches the half that
        # stands there.
        self.client.attach(upward)
        self.server.attach(downward)
        self.client.forget_pauses()
        self.server.forget_pauses()
        self.client.flush()
        self.server.flush()
        upward.ended = self.client.read_eof
        downward.ended = self.server.read_eof
        self.server_first = downward.ended and not upward.ended
        upward.forward()
        return downward.forward()

    cdef int ending(self, PumpHalf half) noexcept:
        if half is self.downward and not self.upward.ended:
            self.server_first = True
        return 0

    cdef int half_finished(self) except -1:
        if self.upward is None or not (self.upward.finished and self.downward.finished):
            return 0
        return self.finish(FAULT_NONE, 0)

    cdef int broke(self, FaultKind kind, int code) except -1:
        return self.finish(kind, code)

    cdef int finish(self, FaultKind kind, int code) except -1:
        cdef Pump alive = self
        cdef PumpOwner owner = self.owner
        if self.client is None:
            return 0
        self.server_silent = self.server.rx_bytes == 0
        if kind == FAULT_NONE:
            self.client.close()
            self.server.close()
        else:
            self.client.abort()
            self.server.abort()
        self.let_go()
        return 0 if owner is None else owner.on_pump_closed(alive, kind, code)

    cdef int stop(self) except -1:
        cdef Pump alive = self
        if self.client is None:
            return 0
        self.client.abort()
        self.server.abort()
        return alive.let_go()

    cdef int on_broken(self) except -1:
        return self.finish(FAULT_IO, 0)

    cdef int let_go(self) except -1:
        cdef PumpHalf half
        for half in (self.upward, self.downward):
            half.pump = None
            half.sink = None
        self.owner = None
        self.client = self.server = None
        self.upward = self.downward = None
        return 0


cdef Pump pump_between(Transport client, Transport server, PumpOwner owner):
    cdef Pump pump = Pump.__new__(Pump)
    pump.owner = owner
    pump.client = client
    pump.server = server
    pump.upward = PumpHalf.__new__(PumpHalf)
    pump.upward.pump = pump
    pump.upward.sink = server
    pump.downward = PumpHalf.__new__(PumpHalf)
    pump.downward.pump = pump
    pump.downward.sink = client
    return pump
