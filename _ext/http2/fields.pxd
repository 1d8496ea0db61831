"""Header fields to send: our heads as the name/value arrays that libnghttp2 encodes."""

from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_nv

# Fill a shared array (valid until the next call; libnghttp2 copies from it) and return how many.
cdef int request_fields(Head head) except -1
cdef int response_fields(Head head) except -1
cdef int trailer_fields(Head head) except -1
cdef nghttp2_nv* shared_fields() noexcept
# A copy that outlives the head: one allocation, to be freed by the caller.
cdef nghttp2_nv* pack_fields(int count) except NULL
