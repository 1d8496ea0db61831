# cython: language_level=3
"""Clients and permissions."""

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.detect.transport_header cimport SESSION_HTTP1, SESSION_HTTP2
from linkerd2_py._ext.policy.match cimport line_of
from linkerd2_py._ext.policy.rate cimport Limit
from linkerd2_py._ext.metrics.labels import make_labels

SKIPPED = (("tls", "no_identity"), ("no_tls_reason", "port_skipped"))

cdef enum:
    # A mesh has fewer identities. Peers choose what they prove, so this bounds what they can make us keep;
    # beyond it all are resolved anew.
    CLIENTS_MAX = 4096
    # The ports of a workload are few; a peer may name others.
    HEADERS_MAX = 64

cdef dict PROTOCOLS = {<int> SESSION_HTTP1: "http/1", <int> SESSION_HTTP2: "http/2"}


cdef class Client:
    def __init__(self, *, str identity=None, bint secured=False, tuple labels=(), bytes text=None):
        self.identity = identity
        self.raw_identity = None if identity is None else identity.encode()
        self.secured = secured
        self.labels = labels
        self.text = make_labels(labels) if text is None else text


cdef str name_of(bytes identity):
    return None if identity is None else identity.decode("ascii", "replace")


cdef tuple over_tls(str identity):
    """Its labels."""
    return (("tls", "true"), ("client_id", identity or ""))


cdef Client client_over_tls(bytes identity):
    cdef str name = name_of(identity)
    return Client(identity=name, secured=True, labels=over_tls(name))


cdef class Clients:
    def __init__(self, Registry registry, str direction, tuple tcp_labels, tuple no_tls, bint looks_for_tls):
        self.registry = registry
        self.prefix = make_labels([("direction", direction), ("peer", "src")])
        self.tcp_labels = tcp_labels
        self.over_tls = {}
        self.plain = self.make(None, False, no_tls)
        self.skipped = self.make(None, False, SKIPPED) if looks_for_tls else self.plain

    cdef Client make(self, str identity, bint secured, tuple tls):
        text = make_labels([*tls, *self.tcp_labels])
        return Client(identity=identity, secured=secured, labels=tls, text=text)

    cdef Client secured(self, bytes identity):
        cdef Client client = self.over_tls.get(identity)
        if client is None:
            if len(self.over_tls) >= CLIENTS_MAX:
                self.over_tls.clear()
            name = name_of(identity)
            client = self.make(name, True, over_tls(name))
            self.over_tls[identity] = client
        return client

    cdef TcpMetrics counted(self, Client client, bytes address, Permission permission):
        cdef list parts
        if not address:
            if client.tcp is None:
                client.tcp = self.registry.tcp(self.prefix + b"," + client.text)
            return client.tcp
        parts = [self.prefix, address, client.text]
        if permission is not None and permission.server:
            parts.append(permission.server)
        return self.registry.tcp(b",".join(parts))

    cdef int headed(self, Client client, int port, SessionProtocol protocol) except -1:
        cdef Counter counter
        if client.headers is None or len(client.headers) >= HEADERS_MAX:
            client.headers = {}
        counter = client.headers.get((port, <int> protocol))
        if counter is None:
            labels = make_labels([
                ("session_protocol", PROTOCOLS.get(<int> protocol, "")), ("target_port", str(port)),
                ("target_name", ""), ("client_id", client.identity or ""),
            ])
            counter = self.registry.counted(
                b"inbound_tcp_transport_header_connections_total",
                b"Connections whose transport header says where they go.", labels,
            )
            client.headers[port, <int> protocol] = counter
        counter.count += 1
        return 0


cdef bint may_lead_out(Span path) noexcept:
    """Whether some server could take what lies below another path for what lies beside it: there is a `..` in
    it, or a byte that may be part of one, or may divide segments, is encoded."""
    cdef const char* p = path.ptr
    cdef const char* end = path.ptr + path.len
    while p < end:
        if p[0] == c"\\" or p[0] == c"%" and hides_dot_or_slash(p, end):
            return True
        if end - p > 2 and p[0] == c"/" and p[1] == c"." and p[2] == c".":
            return True
        p += 1
    return False


cdef bint hides_dot_or_slash(const char* p, const char* end) noexcept:
    """%2e, %2f, %5c, and %25, which may hide them from us as they are hidden from others."""
    cdef char low
    if end - p < 3:
        return False
    low = p[2] | 0x20
    if p[1] == c"2":
        return low == c"e" or low == c"f" or low == c"5"
    return p[1] == c"5" and low == c"c"


cdef class Permission:
    def __init__(
        self, *, Passage otherwise=None, Rules rules=None, tuple routes=(), object passage=None,
        Passage doubtful=None, tuple limits=(), Seating seating=None, refuses_opaque=None,
        tuple server=(), Counter connections=None, object on_terminated=None,
    ):
        cdef Limit limit
        if len(routes) != (0 if rules is None else rules.count):
            raise ValueError("each rule is one of a route")
        for limit in limits:
            if limit is None:
                raise TypeError("a limit is None")
        self.otherwise = Passage() if otherwise is None else otherwise
        self.rules = rules
        self.routes = routes
        self.passage = passage
        self.passages = {}
        self.doubtful = doubtful
        self.limits = limits
        self.seating = seating
        self.limited = len(limits) > 0 or seating is not None
        self.opens = self.otherwise.refusal is None or rules is not None
        self.refuses_opaque = not self.opens if refuses_opaque is None else refuses_opaque
        self.server = make_labels(server)
        self.connections = connections
        self.on_terminated = on_terminated

    cdef Passage passage_of(self, Head head):
        cdef Py_ssize_t found
        if self.rules is None:
            return self.otherwise
        found = self.rules.first(head)
        if self.doubtful is not None and may_lead_out(line_of(head).path):
            return self.doubtful
        return self.otherwise if found < 0 else self.passage_of_rule(found)

    cdef Passage passage_of_rule(self, Py_ssize_t number):
        """A policy may have hundreds of routes, and a client asks for few."""
        cdef object route
        cdef Passage passage
        if number == self.last_rule and self.last_passage is not None:
            return self.last_passage
        route = self.routes[number]
        passage = self.passages.get(route)
        if passage is None:
            passage = self.passages[route] = self.passage(route)
        self.last_rule = number
        self.last_passage = passage
        return passage

    cdef Passage judge(self, Head head):
        cdef Passage passage = self.passage_of(head)
        if passage.requests is not None:
            passage.requests.count += 1
        return passage

    cdef int count_connection(self) noexcept:
        if self.connections is not None:
            self.connections.count += 1
        return 0
