"""HAProxy: HTTP/1 with and without TLS, HTTP/2, WebSocket and TCP."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import template
from bench.certificates import SUITE
from bench.subjects.subject import Family, ForeignSubject, Running, Site, free_address, on_path

_TERMS = f"ssl-min-ver TLSv1.3 ciphersuites {SUITE}"


@dataclass(frozen=True, slots=True)
class Haproxy(ForeignSubject):
    """`balance`: its algorithm."""

    name: str = "haproxy"
    balance: str = "roundrobin"
    family: Family = "haproxy"

    def program(self) -> str | None:
        """From Debian's haproxy."""
        return on_path("haproxy")

    def version_argv(self) -> Sequence[str]:
        """It answers on stdout."""
        return ["-v"]

    def launch(self, site: Site) -> Running:
        """One process in the foreground."""
        folder, address = site.folder(self.name), free_address()
        http, http2 = site.protocol != "tcp", site.protocol == "http2"
        configuration = template.write(
            "haproxy.cfg",
            folder,
            servers=site.servers,
            listen=address,
            mode="http" if http else "tcp",
            reuse="http-reuse always" if http else "",
            bind_options=(" proto h2" if http2 else "") + _clients_tls(site),
            server_options=(" proto h2" if http2 else "") + _servers_tls(site),
            balance=self.balance,
        )
        argv = [self.path(), "-db", "-f", str(configuration)]
        child = site.children.start(self.name, argv, core=site.core, mixed=True)
        return Running((address,), (child,))


def _clients_tls(site: Site) -> str:
    if (tls := site.clients_tls) is None:
        return ""
    tickets = "" if site.tickets else " no-tls-tickets"
    return f" ssl crt {tls.server.both} verify required ca-file {tls.anchors} {_TERMS}{tickets}"


def _servers_tls(site: Site) -> str:
    if (tls := site.servers_tls) is None:
        return ""
    name = tls.server.name
    checked = f"verify required ca-file {tls.anchors} verifyhost {name} sni str({name})"
    return f" ssl crt {tls.client.both} {checked} {_TERMS}"
