"""HAProxy: HTTP/1, HTTP/2, WebSocket and TCP."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import template
from bench.subjects.subject import Family, ForeignSubject, Running, Site, free_address, on_path


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
            bind_options=" proto h2" if http2 else "",
            server_options=" proto h2" if http2 else "",
            balance=self.balance,
        )
        argv = [self.path(), "-db", "-f", str(configuration)]
        child = site.children.start(self.name, argv, core=site.core, mixed=True)
        return Running((address,), (child,))
