"""Seekers side by side, for routers, which know one."""

from linkerd2_py._ext.exchange.observe cimport Seeker
from linkerd2_py._ext.io.loop cimport Loop

cdef class Several(Seeker):
    """One of them at least always looks for something, so this one does. They are asked in their order."""
    cdef Loop loop
    cdef readonly tuple seekers        # owned
