"""libnghttp2 sessions that call back into ours, and the source of their DATA frames."""

from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_data_provider, nghttp2_session
from linkerd2_py._ext.http2.session cimport Http2Half, Http2Session

# Owned by the caller; `session` must outlive it.
cdef nghttp2_session* new_server(Http2Session session) except NULL
cdef nghttp2_session* new_client(Http2Session session) except NULL
cdef void body_provider(nghttp2_data_provider* provider, Http2Half half) noexcept
