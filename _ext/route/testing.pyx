# cython: language_level=3
"""Python doors to the clients of a server. Not part of a wheel."""

from linkerd2_py._ext.metrics.registry cimport Registry
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


def refusal(Permission permission not None) -> bytes | None:
    return permission.refusal


def count_request(Permission permission not None) -> None:
    permission.count_request()


def count_connection(Permission permission not None) -> None:
    permission.count_connection()
