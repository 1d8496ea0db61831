"""Redirects: where a client is told to ask instead, as the Gateway API makes that of what it asked for."""

from cython cimport final
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.new_path cimport NewPath

cdef enum Whither:
    THERE                  # where `location` says
    NOWHERE_ELSE           # where the request goes anyway, or it has no path (CONNECT, `OPTIONS *`)
    UNKNOWN                # the request names no host, and the redirect neither

@final
cdef class Redirect:
    """Immutable. What it does not say stays as the request has it."""
    cdef readonly int status
    cdef readonly bytes scheme        # `http` or `https`; empty: the request's
    cdef readonly bytes host          # empty: the request's
    # 0: that of the scheme where the redirect says one, else the request's. A scheme's own is never told.
    cdef readonly int port
    cdef readonly NewPath path        # owned; None: the request's
    # `location`, where it is THERE: an absolute URI of visible ASCII in memory of the head.
    cdef Whither of(self, Head head, Span* location) except *
