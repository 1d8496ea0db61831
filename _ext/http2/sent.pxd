"""What libnghttp2 calls for what we send: where the bytes of DATA frames come from, and what was written."""

from linkerd2_py._ext.http2.half cimport Http2Half
from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_data_provider, nghttp2_session_callbacks

cdef int hear_sent(nghttp2_session_callbacks* callbacks) noexcept
cdef void body_provider(nghttp2_data_provider* provider, Http2Half half) noexcept
