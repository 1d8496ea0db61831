"""Two transports, bytes copied both ways until both sides have ended: opaque TCP, Upgrade and CONNECT
tunnels."""

from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.io.actor cimport Actor
from linkerd2_py._ext.io.transport cimport Session, Transport

cdef class Pump

cdef class PumpOwner(Actor):
    # FAULT_NONE: both directions ended cleanly.
    cdef int on_pump_closed(self, Pump pump, FaultKind kind, int code) except -1

cdef class PumpHalf(Session):
    """One direction: what `transport` reads goes to `sink`.

    What the sink does not take stays in the transport's inbox, and reading waits.
    """
    cdef Pump pump                # owned while open
    cdef Transport sink           # owned while open
    cdef bint ended               # FIN read
    cdef bint finished            # ... and passed on
    cdef bint waiting             # reading is paused: the sink is full
    cdef int forward(self) except -1

cdef class Pump(Actor):
    """FIN travels as FIN after all bytes, RST as RST (both ways), a full receiver pauses its sender; at most
    one leased buffer per direction.
    Bytes already in either inbox are delivered first, bytes already unsent before them. Pauses of earlier
    sessions are forgotten."""
    cdef PumpOwner owner          # owned while open
    cdef Transport client, server # owned while open
    cdef PumpHalf upward, downward   # client to server, server to client; owned while open
    cdef bint server_first        # the server ended before the client did
    cdef bint server_silent       # once over: not a byte came from the server
    cdef int start(self) except -1
    cdef int stop(self) except -1           # abort both with RST, no callback
    cdef int ending(self, PumpHalf half) noexcept
    cdef int half_finished(self) except -1
    cdef int broke(self, FaultKind kind, int code) except -1
    cdef int finish(self, FaultKind kind, int code) except -1
    cdef int let_go(self) except -1

cdef Pump pump_between(Transport client, Transport server, PumpOwner owner)   # not started yet
