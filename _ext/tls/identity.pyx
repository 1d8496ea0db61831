# cython: language_level=3
"""The credentials in force: exchanged whole, asked for by every connection that begins."""

from linkerd2_py._ext.core.dns_name cimport is_dns_name


cdef class LocalIdentity:

    def __init__(self, str name not None):
        self.name = name
        self.raw_name = name.encode()

    def install(self, Credentials credentials not None):
        if credentials.name != self.name:
            raise ValueError(f"the credentials are for {credentials.name}, not for {self.name}")
        self.credentials = credentials

    cdef int tell_failure(self, bint inbound, Address peer, str reason) except -1:
        if self.on_failure is not None:
            self.on_failure(bool(inbound), peer, "unknown" if reason is None else reason)
        return 0


cdef class ServerIdentity:

    def __init__(self, str name not None, *, str server_name="", int tunnel_port=0):
        self.name = name
        self.server_name = server_name or name
        self.raw_name = name.encode()
        self.raw_server_name = self.server_name.encode()
        if not name or not is_dns_name(self.raw_server_name, len(self.raw_server_name)):
            raise ValueError(f"{self.server_name!r} cannot be asked for as a server name")
        if not 0 <= tunnel_port < 65536:
            raise ValueError(f"{tunnel_port} is no port")
        self.tunnel_port = tunnel_port

    def __eq__(self, other):
        if not isinstance(other, ServerIdentity):
            return NotImplemented
        return (self.name, self.server_name, self.tunnel_port) == (
            other.name, other.server_name, other.tunnel_port,
        )

    def __hash__(self):
        return hash((self.name, self.server_name, self.tunnel_port))

    def __repr__(self):
        names = f"{self.name!r}, server_name={self.server_name!r}"
        return f"ServerIdentity({names}, tunnel_port={self.tunnel_port})"
