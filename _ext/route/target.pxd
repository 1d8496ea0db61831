"""A target: what traffic is addressed to, the endpoints that serve it, and who waits for them."""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.balance.accrual cimport Accrual, Step
from linkerd2_py._ext.balance.p2c cimport ReadySet
from linkerd2_py._ext.exchange.backend cimport Unavailable, Waiter, WaiterQueue
from linkerd2_py._ext.io.actor cimport Actor, Timer
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.metrics.balancer cimport BalancerMetrics, BreakerMetrics
from linkerd2_py._ext.metrics.http cimport HttpMetrics
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.policy.connections cimport ConnectionRoutes
from linkerd2_py._ext.policy.route_table cimport NamedRoutes, RouteTable
from linkerd2_py._ext.pool.endpoint cimport Endpoint, Roster
from linkerd2_py._ext.pool.settings cimport PoolSettings
from linkerd2_py._ext.route.endpoint_spec cimport EndpointSpec
from linkerd2_py._ext.route.tally cimport Tally
from linkerd2_py._ext.tls.identity cimport LocalIdentity

cdef class Side(Actor):
    """What all targets of one direction share."""
    cdef readonly Loop loop
    cdef readonly Registry registry
    cdef readonly str direction            # "inbound" or "outbound", as labels say it
    cdef readonly PoolSettings settings
    cdef readonly LocalIdentity identity   # None: no connection of this side is secured
    cdef public bytes metrics_prefix       # b"control_" for the proxy's own clients
    # Of these: what all their series have instead of names and addresses of endpoints; None: these
    cdef public str addr
    # What names of families of balancers begin with; None: what its direction and protocol say
    cdef public str balances_as
    # Of what is addressed to no target, or to none yet
    cdef Tally unaddressed
    # Called with a target, the address of an endpoint, what its breaker is now ("open" or "closed"), for how
    # many ns, and how many changes there were that nobody was told of: once a second and target at most; or
    # None
    cdef public object on_breaker
    # Targets that only routes lead to, until they are closed
    cdef readonly set siblings
    cdef public NamedRoutes named          # what targets without routes of their own follow; None: nothing

cdef class Target(Roster):
    cdef readonly bytes key             # lower-case host:port
    cdef readonly int port              # of the key
    cdef readonly tuple labels          # of the set; endpoints add their own
    cdef readonly bytes logical         # the name for the `authority` label
    # Inbound: the program's address, for what is counted of connections to it, as text; None: not known
    cdef bytes address_labels
    cdef Side side                      # owned
    cdef public RouteTable routes       # of its exchanges, replaced whole; None: they have no plan
    # The same of its connections that are not parsed; None: they go to its own endpoints.
    cdef public ConnectionRoutes connections
    # Owned. Endpoints that may be chosen: reachable, and their breakers closed.
    cdef ReadySet ready
    # The others that can be reached, where there are breakers: those that are to be tried by one exchange
    # each, and the last resort. None and None without.
    cdef list trials
    cdef ReadySet aside
    cdef Accrual accrual                # owned with others; None: no breakers
    cdef int64_t breaker_told_ns        # when the shell was told of one
    cdef uint32_t breaker_untold        # changes since
    cdef dict endpoints                 # Address -> Endpoint
    cdef dict specs                     # Address -> EndpointSpec
    cdef Endpoint single                # forwarded to, or None
    cdef EndpointSpec single_spec       # the latest of those
    # Who waits. Those whose wait is over are let go in order, some a turn; who comes meanwhile stands behind
    # them.
    cdef WaiterQueue parked             # owned: for the profile
    cdef WaiterQueue queue              # owned: for a ready endpoint
    cdef WaiterQueue given_up           # owned: for nothing; they are told so, and the latest reason
    cdef Unavailable given_up_why
    cdef int given_up_status
    cdef bytes given_up_text
    cdef bint configured, opaque, gate_shut, closed
    cdef bint retired                   # no route leads here any more: it closes with its last exchange
    # Nothing but HTTP is spoken there: what is none is refused, never carried as opaque
    cdef bint only_http
    cdef int64_t detect_timeout_ns      # of its connections; 0: the server's
    cdef Unavailable rejected_why
    cdef int rejected_status            # 0 when not rejected
    cdef bytes rejected_text
    cdef int live                       # exchanges, opaque connections and waits that use it
    cdef int64_t last_used              # loop ns
    cdef Timer failfast
    # (Client, Permission) -> the router of their connections to this target alone, while one of them is open
    # (weak)
    cdef object routers
    # Owned, or None: whoever comes again finds its router though no connection is open; emptied by close
    cdef object last_router
    # Tls labels -> exchanges that failed before they had an endpoint; made on first use
    cdef dict http
    # As text: whose it is (parent, or server of policy), whose its endpoints are, and its protocol, as labels
    cdef bytes owner, backend, protocol
    # Owned, or None: not needed yet; None after a change of those
    cdef Tally tally
    # Owned; None where nothing was balanced yet, or is
    cdef BalancerMetrics balancing
    cdef BreakerMetrics breaking        # the same, where there are breakers
    # Somebody who took a way here does not use it any more.
    cdef int left(self, int64_t now) except -1
    cdef int belong(self, bytes owner, bytes backend, bytes protocol) except -1
    cdef Tally counts(self)
    cdef int note_balance(self) except -1
    # Its bytes go to its own endpoints, without a look at them or a draw.
    cdef bint is_carried(self) noexcept
    cdef int balance(self) except -1
    cdef int unbalance(self) except -1
    cdef Py_ssize_t take_in(self, list specs) except -1
    cdef Py_ssize_t let_out(self, object addresses) except -1
    cdef int weigh(self, Endpoint endpoint, EndpointSpec spec) except -1
    cdef Endpoint make(self, EndpointSpec spec, bint alone)
    cdef HttpMetrics unplaced(self, tuple tls)
    cdef int expect_ready(self) except -1
    cdef int fail_waiting(self, Unavailable why, int status, bytes text) except -1
    cdef int release_queue(self) except -1
    cdef ReadySet new_set(self)
    cdef int place(self, Endpoint endpoint) except -1
    cdef int take_away(self, Endpoint endpoint) except -1
    cdef int tell_breaker(self, Endpoint endpoint, int64_t wait_ns) except -1
    cdef int count_breaker(self, Step step, bint kept) except -1
    cdef int note_breakers(self) except -1
    cdef bint has_choice(self) noexcept
    cdef Endpoint pick(self, Waiter waiter)
    cdef Endpoint pick_guarded(self, Waiter waiter)
    cdef Waiter next_to_go(self)
    cdef int let_go(self, Waiter waiter, WaiterQueue left) except -1
    cdef bint is_awaited(self) noexcept
    cdef int refuse(self, Unavailable why, int status, bytes text) except -1
    cdef int unreject(self) except -1
    cdef tuple dst_labels(self, EndpointSpec spec)
    cdef int drop_single(self) except -1
