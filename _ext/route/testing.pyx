# cython: language_level=3
"""Python doors to the clients of a server. Not part of a wheel."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.exchange.head cimport Head, drop_head, take_head
from linkerd2_py._ext.exchange.passage cimport Passage
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.policy.rate cimport Limit, take_from_all
from linkerd2_py._ext.route.client cimport Client, Clients, Permission


cdef class KnownClients:
    """The clients of one server."""
    cdef Clients clients

    def __init__(
        self, Registry registry not None, tuple tcp_labels=(), tuple no_tls=(), bint looks_for_tls=True,
    ):
        self.clients = Clients(registry, "inbound", tcp_labels, no_tls, looks_for_tls)

    @property
    def plain(self) -> Client:
        return self.clients.plain

    @property
    def skipped(self) -> Client:
        return self.clients.skipped

    def secured(self, bytes identity) -> Client:
        return self.clients.secured(identity)

    def tcp_labels(self, Client client not None, bytes address=None, Permission permission=None) -> bytes:
        """What its connections are counted as."""
        return self.clients.counted(client, address, permission).labels


def raw_identity(Client client not None) -> bytes | None:
    return client.raw_identity


def answer(Permission permission not None, bytes path=b"/", bytes method=b"GET") -> tuple[int, bytes] | None:
    """What a request is answered that is not let in, and it is counted; None: it is."""
    cdef Head head = take_head()
    cdef Passage passage
    head.method.ptr = method
    head.method.len = len(method)
    head.path.ptr = path
    head.path.len = len(path)
    try:
        passage = permission.judge(head)
        return None if passage.refusal is None else (passage.status, passage.refusal)
    finally:
        drop_head(head)


def refused(tuple limits not None, int64_t now_ns) -> bytes | None:
    """What one more request is answered then that is beyond one of the limits; None: it is not."""
    cdef Limit limit = take_from_all(limits, now_ns)
    return None if limit is None else limit.refusal


def count_connection(Permission permission not None) -> None:
    permission.count_connection()
