"""nghttpx: HTTP/1 with and without TLS, and HTTP/2."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import template
from bench.certificates import values_of
from bench.subjects.subject import Family, ForeignSubject, Running, Site, free_address, on_path


@dataclass(frozen=True, slots=True)
class Nghttpx(ForeignSubject):
    """Two processes: one serves, one watches over it."""

    name: str = "nghttpx"
    family: Family = "nghttpx"

    def program(self) -> str | None:
        """From Debian's nghttp2-proxy."""
        return on_path("nghttpx")

    def version_argv(self) -> Sequence[str]:
        """It answers on stdout."""
        return ["--version"]

    def launch(self, site: Site) -> Running:
        """In the foreground."""
        folder, address = site.folder(self.name), free_address()
        configuration = template.write(
            "nghttpx.conf",
            folder,
            servers=site.servers,
            frontend=address.replace(":", ","),
            protocol="h2" if site.protocol == "http2" else "http/1.1",
            frontend_options="" if site.clients_tls else ";no-tls",
            backend_options=f";tls;sni={tls.server.name}" if (tls := site.servers_tls) else "",
            tls=_tls(site),
        )
        argv = [self.path(), f"--conf={configuration}"]
        child = site.children.start(self.name, argv, core=site.core, mixed=True)
        return Running((address,), (child,))


def _tls(site: Site) -> str:
    lines = ""
    if (tls := site.clients_tls) is not None:
        lines += template.filled("nghttpx-tls-clients.conf", **values_of(tls, tls.server))
    if (tls := site.servers_tls) is not None:
        lines += template.filled("nghttpx-tls-servers.conf", **values_of(tls, tls.client))
    return lines
