"""nginx: HTTP/1 with and without TLS, WebSocket, and with its stream module TCP."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import template
from bench.certificates import values_of
from bench.errors import Unavailable
from bench.subjects.subject import Family, ForeignSubject, Running, Site, free_address, on_path

_STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@dataclass(frozen=True, slots=True)
class Nginx(ForeignSubject):
    """`balance`: a directive of its `upstream` block; without one, round robin. `asks_clients`: TLS clients
    must have a certificate.
    """

    name: str = "nginx"
    balance: str = ""
    asks_clients: bool = True
    family: Family = "nginx"

    def program(self) -> str | None:
        """From Debian's nginx-light, or any other."""
        return on_path("nginx")

    def version_argv(self) -> Sequence[str]:
        """It answers on stderr."""
        return ["-v"]

    def launch(self, site: Site) -> Running:
        """One process: no master."""
        folder, address = site.folder(self.name), free_address()
        configuration = self._configuration(site, folder=folder, address=address)
        argv = [self.path(), "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
        child = site.children.start(self.name, argv, core=site.core, mixed=True)
        return Running((address,), (child,))

    def _configuration(self, site: Site, *, folder: Path, address: str) -> Path:
        if site.protocol == "tcp":
            return _tcp_configuration(site, folder=folder, address=address)
        if site.protocol == "http2":
            raise Unavailable("nginx speaks no HTTP/2 to servers")
        upgrade = "proxy_set_header Upgrade $http_upgrade;" if site.protocol == "websocket" else ""
        return template.write(
            "nginx.conf",
            folder,
            servers=site.servers,
            listen=address,
            balance=self.balance,
            upgrade=upgrade,
            connection="$connection_field" if upgrade else '""',
            listen_options=" ssl" if site.clients_tls else "",
            clients_tls=_clients_tls(site, folder=folder, asks=self.asks_clients),
            scheme="https" if site.servers_tls else "http",
            servers_tls=_servers_tls(site, folder=folder),
        )


def _tcp_configuration(site: Site, *, folder: Path, address: str) -> Path:
    if not _STREAM_MODULE.exists():
        raise Unavailable(
            "nginx has no stream module: install the Debian package libnginx-mod-stream"
        )
    load = f"load_module {_STREAM_MODULE};"
    return template.write(
        "nginx-tcp.conf", folder, servers=site.servers, listen=address, load_module=load
    )


def _clients_tls(site: Site, *, folder: Path, asks: bool) -> str:
    if (certificates := site.clients_tls) is None:
        return ""
    return _include(
        "nginx-tls-clients.conf",
        folder,
        verify="on" if asks else "off",
        tickets="on" if site.tickets else "off",
        **values_of(certificates, certificates.server),
    )


def _servers_tls(site: Site, *, folder: Path) -> str:
    if (certificates := site.servers_tls) is None:
        return ""
    return _include(
        "nginx-tls-servers.conf", folder, **values_of(certificates, certificates.client)
    )


def _include(name: str, folder: Path, **values: object) -> str:
    return f"include {template.write(name, folder, servers=(), **values)};"
