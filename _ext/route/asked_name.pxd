"""Whether a ClientHello asks for us."""

from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.tls.identity cimport LocalIdentity

cdef enum Asked:
    ASKED_MORE         # not known before more of it is there
    ASKED_US
    ASKED_OTHERS       # another name, none, or it is no ClientHello

# Of the bytes at the head of the inbox, which stay there.
cdef Asked who_is_asked(Buffer inbox, LocalIdentity identity) noexcept
