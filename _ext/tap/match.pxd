"""Which exchanges a tap is about: a tree of conditions, compiled once, and looked at without making
anything."""

from cython cimport final
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.io.address cimport Address

@final
cdef class Facts:
    """What conditions are about, of one exchange; filled anew for each. None: not known, so no condition
    about it holds."""
    cdef Head head                     # borrowed for the call
    cdef Address source, destination
    cdef tuple own_labels, set_labels  # ((name, value), ...) of the endpoint, and of all of its target
    cdef tuple route_labels            # the same of the route

cdef enum Kind:
    MATCH_ALL, MATCH_ANY, MATCH_NOT, MATCH_SOURCE_NETWORK, MATCH_SOURCE_PORTS, MATCH_DESTINATION_NETWORK,
    MATCH_DESTINATION_PORTS, MATCH_SCHEME, MATCH_METHOD, MATCH_AUTHORITY, MATCH_AUTHORITY_PREFIX, MATCH_PATH,
    MATCH_PATH_PREFIX, MATCH_DESTINATION_LABEL, MATCH_ROUTE_LABEL

cdef struct Node:
    Kind kind
    uint32_t behind                    # the index behind this one and all that is below it
    uint16_t low, high                 # both belong to the range
    uint8_t ip_len, bits               # of a network: 4 or 16 bytes of `text`, and how many bits count
    const char* text                   # borrowed from `kept`
    uint32_t text_len
    uint32_t label                     # index into `labels`

@final
cdef class Matcher:
    cdef Node* nodes                   # owned; a node stands before those below it
    cdef uint32_t count, room
    cdef list kept                     # owned: the bytes that nodes point into
    cdef list labels                   # owned: (name, value)
    cdef bint holds(self, Facts facts) noexcept
    cdef int compile(self, object tree, int depth) except -1
    cdef int compile_leaf(self, str kind, tuple words, uint32_t at) except -1
    cdef uint32_t add(self, Kind kind) except? 0
    cdef bint holds_at(self, uint32_t at, Facts facts) noexcept
