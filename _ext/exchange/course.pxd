"""The times and the tries of one exchange, where its plan says anything of them."""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.exchange.edits cimport Edits
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.plan cimport Plan
from linkerd2_py._ext.exchange.retry cimport Conditions, Retry
from linkerd2_py._ext.io.actor cimport Timer

# What is over first
cdef enum Expiry:
    EXPIRY_NONE            # nothing
    EXPIRY_PAUSE           # the pause before another try
    EXPIRY_REQUEST
    EXPIRY_HEAD
    EXPIRY_RESPONSE
    EXPIRY_TRY
    EXPIRY_IDLE

@final
cdef class Course:
    """Of one exchange at a time. Recycled through take_course() and drop_course()."""
    cdef Timer timer               # owned; armed for the exchange, which disarms it before it ends
    # Owned; None: neither its plan nor itself asks for retries.
    cdef Retry retry
    # Its own: what its plan says, or what it says of itself
    cdef Conditions conditions
    cdef int64_t request_ns, head_ns, response_ns, idle_ns, try_ns      # 0: no limit
    cdef int left                  # tries after this one
    cdef int tries                 # before this one
    # Loop ns
    cdef int64_t started
    cdef int64_t begun             # this try
    cdef int64_t flushed           # its request has been sent; 0: not yet
    cdef int64_t touched           # a piece of a message came
    cdef int64_t resume            # it pauses until then; 0: it does not
    cdef int64_t pause_ns          # the next one
    # Owned copy: a head whose trailers will say whether it is the client's; None: none is
    cdef Head held
    # Owned: what the way of the last try changed of the request's fields, of which there were so many before;
    # None: nothing
    cdef Edits edits
    cdef int edited_from

    # What is over by `now`, or first; and when: 0 where nothing will be. `answered`: a response head came.
    cdef Expiry over(self, int64_t now, bint answered) noexcept
    cdef int64_t next(self, bint answered) noexcept
    cdef int64_t first(self, bint answered, Expiry* which) noexcept        # private
    cdef bint is_timed(self) noexcept                              # private
    # Another try begins after so many ns.
    cdef int64_t pause(self) noexcept
    cdef int begin_try(self, int64_t now) noexcept
    cdef int drop_held(self) except -1                             # idempotent
    # Who waited how long for what, as a client is told.
    cdef bytes text(self, Expiry expiry)

# None where neither the plan nor the request asks for anything. Takes what is for us out of the head.
cdef Course take_course(Plan plan, Head head, int64_t now)
cdef int drop_course(Course course) except -1
