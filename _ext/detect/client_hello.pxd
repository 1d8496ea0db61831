"""Whom a TLS client asks for: the server name in its ClientHello (RFC 8446 4.1.2, RFC 6066 3), found before
any handshake."""

from linkerd2_py._ext.core.dns_name cimport DNS_NAME_MAX, same_name
from linkerd2_py._ext.core.types cimport Span

cdef enum:
    # Bytes of the connection within which a ClientHello must end. Post-quantum key shares make an ordinary
    # one 2 KB, long tickets or lists of protocols 20 KB.
    HELLO_MAX = 65536

cdef enum HelloState:
    # Right so far, and not all here: ask again when more has come. Never once HELLO_MAX bytes are here.
    HELLO_MORE = 0
    HELLO_NAME            # the ClientHello is whole and names a host
    HELLO_NO_NAME         # it is whole and names none
    # It is no ClientHello, or one whose name two readers could read in two ways. More bytes change nothing.
    HELLO_BROKEN

# `p`: the connection's bytes from the first one on; they stay where they are, and what follows the
# ClientHello is not looked at. A name that is cut by the end of a record is in one piece nowhere in them, so
# the name is copied into `room`, which has DNS_NAME_MAX bytes; with HELLO_NAME `sni` is that copy, as the
# client spelled it (compare with `same_name`), with any other answer it is empty.
#
# Refused as BROKEN: a list or field that reaches beyond what holds it or leaves a rest; a second server_name
# extension, a second host name in it; a name that is no DNS name (`is_dns_name`: NUL, wildcards, addresses,
# the root's dot); among the records that carry the message one that is empty, too long, or of another type
# (RFC 8446 5.1). A field is judged once it is whole, the name last: only then does it count, so that a
# repeated one is seen.
cdef HelloState client_hello(const char* p, size_t n, char* room, Span* sni) noexcept nogil
