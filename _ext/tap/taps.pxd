"""All who watch one proxy's exchanges, and what each of them is told."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.core.pace cimport Pace, is_ahead
from linkerd2_py._ext.exchange.exchange cimport Exchange
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.observe cimport Observer, Seeker
from linkerd2_py._ext.io.actor cimport Actor
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.metrics.series cimport Counter
from linkerd2_py._ext.route.call cimport Call
from linkerd2_py._ext.route.endpoint_spec cimport EndpointSpec
from linkerd2_py._ext.tap.events cimport EventId
from linkerd2_py._ext.tap.match cimport Facts, Matcher
from linkerd2_py._ext.core.wire cimport Wire

cdef class Taps(Seeker):
    """One for the routers of a proxy. `wanting` are the taps that have not reached their limits."""
    cdef readonly Loop loop
    cdef readonly Py_ssize_t most           # taps at once
    cdef list taps                          # owned: each leaves when it is over, which breaks the cycle
    cdef Facts facts                        # of the exchange that is looked at, emptied after each look
    cdef uint32_t bases                     # how many taps there were: the first half of their events' ids
    # Owned: exchanges that somebody was told of, events, and those for which there was no room
    cdef readonly Counter requests, events, lost
    cdef tuple look_at(self, Exchange exchange, Head head)
    cdef int learn(self, Exchange exchange, Head head) except -1
    cdef int forget(self) noexcept

cdef class Tap(Actor):
    """One call of Observe: what it wants to see, how much of it, and the way there. What does not fit into
    the way is lost: traffic never waits for it."""
    cdef Taps taps                          # owned; None once it is over: breaks the cycle
    cdef Call call                          # owned
    cdef Matcher matcher
    cdef uint32_t base
    # The last number given to an exchange. One that there was no room for has a number, too: whoever sees
    # that one is left out knows that something was lost.
    cdef uint64_t stream
    cdef uint64_t left                      # exchanges that it still wants
    cdef Pace pace                          # of its exchanges
    cdef bint fields                        # of heads are told
    cdef uint64_t missing                   # events that were lost since it was told how many
    cdef Py_ssize_t open                    # exchanges that it is told of, whose end it waits for
    # Owned: whole messages with their prefixes, sent as the turn ends
    cdef Wire wire
    # Before it matches anything: it would not take one now.
    cdef inline bint is_sated(self, int64_t now) noexcept:
        return self.left == 0 or is_ahead(&self.pace, now)

    cdef bint has_room(self, size_t least) noexcept
    cdef Sighting take(self, int64_t now)
    cdef int lose(self, uint64_t events) noexcept
    cdef size_t begin_event(self) noexcept
    cdef int end_event(self, size_t at) except -1
    cdef int settle(self) except -1         # it ends where nothing more is to come

cdef class Sighting(Observer):
    """One exchange as one tap sees it."""
    cdef Tap tap                            # owned
    cdef EventId id
    cdef int64_t answered                   # loop ns of the response's head; -1: there was none
    # Owned: of the latest event, for the next one; or None
    cdef Address source
    cdef EndpointSpec spec
    cdef Wire trailers                      # owned, or None
    cdef size_t begin(self, Exchange exchange, Head head) except? 0
    cdef int tell_response(self, Exchange exchange, int status, Head head) except -1
