# cython: language_level=3
"""From accept to admission. Bounded: some bytes of a hello, a handshake, fourteen bytes of a preface, each
within `patience_ns`."""

from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.detect.detect cimport (
    PROTO_HTTP1,
    PROTO_HTTP2,
    PROTO_MORE,
    PROTO_TLS,
    detect_http,
)
from linkerd2_py._ext.route.asked_name cimport ASKED_MORE, ASKED_US, Asked, who_is_asked
from linkerd2_py._ext.tls.credentials cimport Credentials
from linkerd2_py._ext.tls.party cimport TAKES_HTTP2
from linkerd2_py._ext.tls.transport cimport TlsTransport


cdef class Entry(Accepting):

    def __cinit__(self, *args, **kwargs):
        self.entering = {}

    cdef Transport new_transport(self):
        if self.identity is None:
            return Transport.__new__(Transport)
        return TlsTransport.__new__(TlsTransport)

    cdef int on_accepted(self, Transport transport) except -1:
        cdef Entering entering
        if not self.make_room():
            return transport.abort()
        if self.identity is None and self.only_http2:
            return self.admit(transport, PROTO_HTTP2, False, None)
        entering = Entering.__new__(Entering)
        entering.entry = self
        self.entering[entering] = None
        return transport.attach(entering)

    cdef int drop_entering(self) except -1:
        while self.drop_oldest():
            pass
        return 0

    cdef bint drop_oldest(self) except -1:
        for entering in self.entering:
            (<Entering> entering).refuse()
            return True
        return False

    cdef bint make_room(self) except -1:
        raise NotImplementedError("Entry.make_room")

    cdef int admit(self, Transport transport, Protocol protocol, bint secured, bytes peer) except -1:
        raise NotImplementedError("Entry.admit")


cdef class Entering(Securing):

    def __cinit__(self):
        self.timeout = Timer(self, 0)

    cdef int on_attached(self) except -1:
        if self.handshaking:
            return 0
        self.entry.loop.arm(self.timeout, self, self.entry.patience_ns)
        return self.look()

    cdef int on_readable(self) except -1:
        return self.look()

    cdef int look(self) except -1:
        cdef Transport transport = self.transport
        cdef Protocol found
        if transport.inbox is None or transport.inbox.size() == 0:
            return 0
        found = detect_http(transport.inbox.head(), transport.inbox.size())
        if self.entry.identity is not None and not self.secured:
            if found == PROTO_TLS:
                return self.look_for_name()
            if not self.entry.takes_plain:
                return 0 if found == PROTO_MORE else self.refuse()
        if found == PROTO_MORE:
            return 0
        # The codec says what is wrong with anything else.
        return self.come_in(PROTO_HTTP2 if found == PROTO_HTTP2 else PROTO_HTTP1)

    cdef int look_for_name(self) except -1:
        cdef Asked asked = who_is_asked(self.transport.inbox, self.entry.identity)
        if asked == ASKED_MORE:
            return self.transport.widen_inbox()
        return self.secure() if asked == ASKED_US else self.refuse()

    cdef int secure(self) except -1:
        cdef Credentials credentials = self.entry.identity.credentials
        self.entry.loop.disarm(self.timeout)
        # While the socket still knows: a failure is told with who it was.
        self.transport.peer_address()
        if credentials is None:
            return self.refuse()
        self.handshaking = True
        return (<TlsTransport> self.transport).secure(credentials, TAKES_HTTP2, self, self.entry.patience_ns)

    cdef int on_secured(self) except -1:
        self.handshaking = False
        self.secured = True
        if self.entry.only_http2:
            return self.come_in(PROTO_HTTP2)
        return self.on_attached()

    cdef int come_in(self, Protocol protocol) except -1:
        """Its transport gets its real session, with all bytes still in the inbox."""
        cdef Transport transport = self.transport
        cdef bytes peer = (<TlsTransport> transport).channel.peer if self.secured else None
        self.leave()
        return self.entry.admit(transport, protocol, self.secured, peer)

    cdef int refuse(self) except -1:
        self.leave()
        return 0 if self.transport is None else self.transport.abort()

    cdef int leave(self) except -1:
        self.entry.loop.disarm(self.timeout)
        self.entry.entering.pop(self, None)
        return 0

    cdef int on_timer(self, Timer timer) except -1:
        return self.refuse()

    cdef int on_read_eof(self) except -1:
        """Nobody asks for anything with less than this."""
        self.leave()
        return self.transport.close()

    cdef int on_drained(self) except -1:
        return 0

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        self.leave()
        if self.handshaking:
            failure = (<TlsTransport> self.transport).failure()
            self.entry.identity.tell_failure(True, self.transport.peer_address(), failure)
        return 0
