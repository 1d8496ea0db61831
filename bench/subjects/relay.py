"""The limit: bytes from one socket to another, without a look at them."""

import json
from dataclasses import dataclass
from typing import Literal

from bench import native
from bench.programs import flags
from bench.subjects.subject import Family, Running, Site, Subject


@dataclass(frozen=True, slots=True)
class Relay(Subject):
    """Our C relay. It does not choose among servers: all goes to the first."""

    name: str
    mode: Literal["copy", "splice"] = "copy"
    spin_us: int | None = None
    family: Family = "limit"

    def missing(self) -> str | None:
        """Only where its source is not."""
        return None if native.units_of("relay") else "bench/native/relay.c does not exist"

    def version(self) -> str:
        """It is part of this tree."""
        return "–"

    def launch(self, site: Site) -> Running:
        """Its first line says where it listens."""
        words = flags(
            {
                "mode": self.mode,
                "listen": "127.0.0.1:0",
                "server": site.servers[0],
                "spin_us": self.spin_us,
            }
        )
        argv = [str(native.program("relay")), *words]
        child = site.children.start(self.name, argv, core=site.core)
        return Running((json.loads(child.next_line())["address"],), (child,))
