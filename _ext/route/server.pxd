"""A proxy server: its listeners, the codecs it puts on connections that speak HTTP, and how it ends."""

from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.detect.detect cimport Protocol
from linkerd2_py._ext.exchange.observe cimport Seeker
from linkerd2_py._ext.io.listener cimport Accepting
from linkerd2_py._ext.io.transport cimport Session, Transport
from linkerd2_py._ext.route.client cimport Client, Permission
from linkerd2_py._ext.route.complaints cimport Complaints
from linkerd2_py._ext.route.opaque cimport Relay
from linkerd2_py._ext.route.router cimport ConnectionRouter
from linkerd2_py._ext.route.target cimport Target

cdef class ProxyServer(Relay):
    cdef Limits limits
    cdef int default_port
    cdef bint outbound, orig_proto, informational, authority_labels, tells_names
    cdef list listeners
    cdef public Seeker seeker         # who looks for exchanges to see, or None; before connections come
    cdef public Complaints complaints # who is told of what it answers in the proxy's own name, or None
    # callable(listener) or None: one of the listeners had nothing left to accept with
    cdef public object on_exhausted
    cdef int serve(self, Transport transport, Target target, Client client, Protocol protocol) except -1
    cdef ConnectionRouter router_for(self, Target target, Client client, Permission permission)
    cdef ConnectionRouter new_router(self, Target target, Client client, Permission permission)
    cdef ConnectionRouter router_of(self, Session session)
    cdef int ask_about(self, Session session) except -1
    cdef bint owns(self, Session session)
    cdef int drain_session(self, Session session) except -1

cdef class Doorway(Accepting):
    """What a listener hands transports to."""
    cdef ProxyServer server           # owned
