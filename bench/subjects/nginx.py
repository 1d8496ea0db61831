"""nginx: HTTP/1, WebSocket, and with its stream module TCP."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import template
from bench.errors import Unavailable
from bench.subjects.subject import Family, ForeignSubject, Running, Site, free_address, on_path

_STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@dataclass(frozen=True, slots=True)
class Nginx(ForeignSubject):
    """`balance`: a directive of its `upstream` block; without one, round robin."""

    name: str = "nginx"
    balance: str = ""
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
        configuration = _configuration(site, folder=folder, address=address, balance=self.balance)
        argv = [self.path(), "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
        child = site.children.start(self.name, argv, core=site.core, mixed=True)
        return Running((address,), (child,))


def _configuration(site: Site, *, folder: Path, address: str, balance: str) -> Path:
    if site.protocol == "tcp":
        if not _STREAM_MODULE.exists():
            raise Unavailable(
                "nginx has no stream module: install the Debian package libnginx-mod-stream"
            )
        load = f"load_module {_STREAM_MODULE};"
        return template.write(
            "nginx-tcp.conf", folder, servers=site.servers, listen=address, load_module=load
        )
    if site.protocol == "http2":
        raise Unavailable("nginx speaks no HTTP/2 to servers")
    upgrade = "proxy_set_header Upgrade $http_upgrade;" if site.protocol == "websocket" else ""
    return template.write(
        "nginx.conf",
        folder,
        servers=site.servers,
        listen=address,
        balance=balance,
        upgrade=upgrade,
        connection="$connection_field" if upgrade else '""',
    )
