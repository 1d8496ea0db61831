"""What libnghttp2 calls for what the other side sent."""

from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_session_callbacks

cdef int hear_received(nghttp2_session_callbacks* callbacks) noexcept
