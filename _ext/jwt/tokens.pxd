"""What was found of tokens, and which requests they let in.

A token that was seen before costs a digest and a look into a table. One that was not is inspected by the
shell, in the turn of the loop in which it came where there is time left in that, else in a later one: the
exchange waits, and so do those whose token names a key that is being fetched.
"""

from cython cimport final
from libc.stdint cimport int64_t
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.backend cimport RequestExaminer, Waiter, WaiterQueue
from linkerd2_py._ext.exchange.head cimport Field, Head
from linkerd2_py._ext.exchange.passage cimport Passage
from linkerd2_py._ext.io.actor cimport Actor
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.metrics.series cimport Counter

@final
cdef class Finding:
    """What the shell found of one token. Immutable."""
    cdef readonly str problem         # what is wrong with it, by name; None: it is sound
    # Of several kinds of tokens that a request's is none of, the lowest is told.
    cdef readonly int rank
    cdef readonly int64_t until       # loop ns: it holds so long
    cdef readonly tuple fields        # ((name, value), ...) that the workload gets; names in lower case

@final
cdef class Tokens(Actor):
    """Of one kind: where requests have them, and what was found of each that came. What is remembered is
    bounded, and what others send that is no good takes no room from what is."""
    cdef Loop loop
    cdef bytes field                  # where it stands, in lower case
    cdef bytes scheme                 # what stands before it, in lower case; empty: nothing
    cdef readonly bint forwards       # the workload gets it, too
    cdef object inspect               # callable(bytes) -> Finding; None: ask again after `resume`
    # Digest -> Finding: those that came since the last half was full, and the half before
    cdef dict sound, sound_before, unsound, unsound_before
    cdef WaiterQueue for_turn, for_keys     # owned: for time, and for `resume`
    # None: the exchange stands in a queue, or it is None and the token was not seen before. Never raises for
    # what came.
    cdef Finding find(self, Waiter exchange, Head head)
    cdef int look(self, Head head, Span* token) noexcept          # how many fields of that name there are
    cdef int take(self, Field* field, Span* token) noexcept
    cdef Finding known(self, bytes digest)
    cdef int remember(self, bytes digest, Finding found) except -1
    cdef Finding ask(self, Waiter exchange, bytes digest, Span token)

@final
cdef class Candidate:
    """What a token of some kind is good for."""
    cdef Tokens tokens                # owned
    cdef Passage passage              # of requests that have a sound one
    cdef Counter accepted             # owned, or None

@final
cdef class TokenExaminer(RequestExaminer):
    """Of one client's requests of one route. Immutable, but for what it remembers."""
    cdef tuple candidates             # of Candidate; in their order
    # Of fields that speak in the name of tokens, in lower case, with hyphens for underscores: to many servers
    # both are one. Nobody's request brings one along.
    cdef tuple reserved
    cdef Passage otherwise            # of requests that need no token; None: all need one
    cdef object refused               # callable(name of a problem) -> (Passage, Counter or None)
    cdef dict refusals                # what it said, by problem
    cdef Passage accept(self, Candidate candidate, Finding found, Head head)
    cdef Passage refuse(self, str problem)
    cdef int clean(self, Head head) except -1
