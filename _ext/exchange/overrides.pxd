"""What a request says of its own times and retries: l5d-timeout, l5d-response-timeout, l5d-retry-*. Only
where its route allows it."""

from linkerd2_py._ext.exchange.course cimport Course
from linkerd2_py._ext.exchange.head cimport Head

# Takes them out of the head; what cannot be read counts as not said, as in Linkerd.
cdef int override(Course course, Head head) except -1
