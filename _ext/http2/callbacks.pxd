"""libnghttp2 sessions that call back into ours.

What they call stands in `received` and `sent`. `user` is our session: it lives as long as the libnghttp2
session it owns, and holds itself while inside a call. An exception is kept and raised again behind the call;
a session that is over takes nothing more.
"""

from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_session
from linkerd2_py._ext.http2.session cimport Http2Session

# Owned by the caller; `session` must outlive it.
cdef nghttp2_session* new_server(Http2Session session) except NULL
cdef nghttp2_session* new_client(Http2Session session) except NULL
