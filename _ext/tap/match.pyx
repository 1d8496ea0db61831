# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Compiled conditions. A tree is a row of nodes, each before those below it and with the place behind them,
so that a look at it is a walk over memory."""

from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp

from linkerd2_py._ext.core.types cimport Span

NODES_MAX = 1024
DEPTH_MAX = 32

cdef enum:
    MOST_NODES = 1024
    DEEPEST = 32
    FIRST_ROOM = 8
    # Of a socket address as the kernel has it: the port is at 2, in network order, and the address here.
    IPV4_AT = 4
    IPV6_AT = 8

cdef dict TEXTS = {
    "scheme": MATCH_SCHEME,
    "method": MATCH_METHOD,
    "authority": MATCH_AUTHORITY,
    "authority-prefix": MATCH_AUTHORITY_PREFIX,
    "path": MATCH_PATH,
    "path-prefix": MATCH_PATH_PREFIX,
}
cdef dict SEVERAL = {"all": MATCH_ALL, "any": MATCH_ANY, "not": MATCH_NOT}
cdef dict NETWORKS = {
    "source-network": MATCH_SOURCE_NETWORK, "destination-network": MATCH_DESTINATION_NETWORK,
}
cdef dict PORTS = {"source-ports": MATCH_SOURCE_PORTS, "destination-ports": MATCH_DESTINATION_PORTS}
cdef dict LABELS = {"destination-label": MATCH_DESTINATION_LABEL, "route-label": MATCH_ROUTE_LABEL}


cdef inline bint is_text(Span span, const Node* node) noexcept:
    return span.len == node.text_len and memcmp(span.ptr, node.text, span.len) == 0


cdef inline bint begins_with(Span span, const Node* node) noexcept:
    return span.len >= node.text_len and memcmp(span.ptr, node.text, node.text_len) == 0


cdef inline Span without_query(Span path) noexcept:
    cdef const char* query = NULL
    if path.len:
        query = <const char*> memchr(path.ptr, c"?", path.len)
    if query != NULL:
        path.len = query - path.ptr
    return path


cdef inline Span scheme_of(Head head) noexcept:
    """What is left out is http."""
    cdef Span scheme = head.scheme
    if scheme.len == 0:
        scheme.ptr = "http"
        scheme.len = 4
    return scheme


cdef bint is_in_network(Address address, const Node* node) noexcept:
    cdef const unsigned char* ip
    cdef const unsigned char* wanted = <const unsigned char*> node.text
    cdef int whole = node.bits >> 3, rest = node.bits & 7
    if address is None:
        return False
    # sockaddr_in6 is the longer one.
    if (node.ip_len == 4) != (address.raw_len < 28):
        return False
    ip = address.raw + (IPV4_AT if node.ip_len == 4 else IPV6_AT)
    if memcmp(ip, wanted, whole):
        return False
    return rest == 0 or (ip[whole] ^ wanted[whole]) >> (8 - rest) == 0


cdef inline bint is_in_range(Address address, const Node* node) noexcept:
    return address is not None and node.low <= address.port <= node.high


cdef bint has_label(tuple labels, tuple wanted) noexcept:
    if labels is None:
        return False
    for label in labels:
        if label == wanted:
            return True
    return False


cdef class Facts:
    pass


cdef class Matcher:

    def __init__(self, tree):
        self.kept = []
        self.labels = []
        self.compile(tree, 0)

    def __dealloc__(self):
        free(self.nodes)
        self.nodes = NULL

    cdef bint holds(self, Facts facts) noexcept:
        return self.holds_at(0, facts)

    cdef bint holds_at(self, uint32_t at, Facts facts) noexcept:
        cdef const Node* node = &self.nodes[at]
        cdef Kind kind = node.kind
        cdef uint32_t below = at + 1
        if kind <= MATCH_NOT:
            if kind == MATCH_NOT:
                return not self.holds_at(below, facts)
            while below < node.behind:
                # The first that decides.
                if self.holds_at(below, facts) == (kind == MATCH_ANY):
                    return kind == MATCH_ANY
                below = self.nodes[below].behind
            return kind == MATCH_ALL
        if kind == MATCH_SOURCE_NETWORK:
            return is_in_network(facts.source, node)
        if kind == MATCH_SOURCE_PORTS:
            return is_in_range(facts.source, node)
        if kind == MATCH_DESTINATION_NETWORK:
            return is_in_network(facts.destination, node)
        if kind == MATCH_DESTINATION_PORTS:
            return is_in_range(facts.destination, node)
        if kind == MATCH_SCHEME:
            return is_text(scheme_of(facts.head), node)
        if kind == MATCH_METHOD:
            return is_text(facts.head.method, node)
        if kind == MATCH_AUTHORITY:
            return is_text(facts.head.authority, node)
        if kind == MATCH_AUTHORITY_PREFIX:
            return begins_with(facts.head.authority, node)
        if kind == MATCH_PATH:
            return is_text(without_query(facts.head.path), node)
        if kind == MATCH_PATH_PREFIX:
            return begins_with(without_query(facts.head.path), node)
        if kind == MATCH_ROUTE_LABEL:
            return has_label(facts.route_labels, <tuple> self.labels[node.label])
        return (
            has_label(facts.own_labels, <tuple> self.labels[node.label])
            or has_label(facts.set_labels, <tuple> self.labels[node.label])
        )

    # ---- compiling

    cdef uint32_t add(self, Kind kind) except? 0:
        cdef Node* nodes
        cdef uint32_t room
        if self.count == MOST_NODES:
            raise ValueError(f"more than {NODES_MAX} conditions")
        if self.count == self.room:
            room = self.room * 2 if self.room else FIRST_ROOM
            nodes = <Node*> realloc(self.nodes, room * sizeof(Node))
            if nodes == NULL:
                raise MemoryError
            self.nodes, self.room = nodes, room
        self.nodes[self.count].kind = kind
        self.nodes[self.count].behind = self.count + 1
        self.count += 1
        return self.count - 1

    cdef int compile(self, object tree, int depth) except -1:
        cdef uint32_t at
        if depth > DEEPEST:
            raise ValueError(f"conditions are nested more than {DEPTH_MAX} deep")
        if not isinstance(tree, tuple) or not tree or not isinstance(tree[0], str):
            raise ValueError(f"{tree!r} is no condition")
        kind, words = tree[0], tree[1:]
        if kind not in SEVERAL:
            return self.compile_leaf(kind, words, self.add(MATCH_ALL))
        at = self.add(SEVERAL[kind])
        if kind == "not" and len(words) != 1:
            raise ValueError(f"{tree!r}: one condition is negated")
        for each in words:
            self.compile(each, depth + 1)
        self.nodes[at].behind = self.count
        return 0

    cdef int compile_leaf(self, str kind, tuple words, uint32_t at) except -1:
        cdef Node* node = &self.nodes[at]
        cdef bytes text
        if kind in TEXTS:
            (text,) = words
            node.kind = TEXTS[kind]
        elif kind in NETWORKS:
            text, bits = words
            if len(text) not in (4, 16) or not 0 <= bits <= 8 * len(text):
                raise ValueError(f"{words!r} is no network")
            node.kind, node.ip_len, node.bits = NETWORKS[kind], len(text), bits
        elif kind in PORTS:
            node.kind, (node.low, node.high) = PORTS[kind], words
            return 0
        elif kind in LABELS:
            name, value = words
            node.kind, node.label = LABELS[kind], len(self.labels)
            self.labels.append((str(name), str(value)))
            return 0
        else:
            raise ValueError(f"{kind!r} is no condition")
        self.kept.append(text)
        node.text, node.text_len = text, len(text)
        return 0
