"""What observing costs: reading every series that a full registry holds during traffic, and
counting at all.
"""

import http.client
import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from bench.children import Child
from bench.errors import BenchError
from bench.native import ROOT
from bench.programs import Load
from bench.results import Sample
from bench.scenarios.scenario import TRAFFIC_COLUMNS, Rig, Scenario
from bench.scenarios.traffic import Traffic, TrafficStand
from bench.stall import LABEL_SETS
from bench.subjects.subject import Running, Subject

# More than the registry keeps of one family, so that each family of requests is full.
_AUTHORITIES, _AUTHORITIES_TINY = 3000, 100
_SCRAPED = "ours-scraped"


@dataclass(frozen=True, slots=True)
class ScrapedTraffic(Traffic):
    """The subjects get a series for each of many authorities first; one of them is scraped during
    its passes.
    """

    def build(self, rig: Rig) -> "ScrapedStand":
        """The servers, without subjects."""
        return ScrapedStand(rig, self)


class ScrapedStand(TrafficStand):
    """Subjects with many series."""

    def put_up(self, subject: Subject) -> None:
        """Start it, then give it its series."""
        TrafficStand.put_up(self, subject)
        if (running := self.running.get(subject.name)) is not None:
            ask_for_each(running, self.rig.effort.size(_AUTHORITIES, tiny=_AUTHORITIES_TINY))

    def sample(self, subject: Subject) -> Sample:
        """A pass, with or without scrapes; how long one stalls the loop is timed by itself, where nothing
        else can.
        """
        if subject.name != _SCRAPED:
            return TrafficStand.sample(self, subject)
        with self._scraping(self.running[subject.name]) as scraper:
            found = TrafficStand.sample(self, subject)
        scrapes = [json.loads(line) for line in scraper]
        if not scrapes:
            raise BenchError("no scrape ended within a pass; give it more --seconds")
        figures = {
            "render_ms": median(scrape["ms"] for scrape in scrapes),
            "scrape_bytes": median(scrape["bytes"] for scrape in scrapes),
            "scrapes": float(len(scrapes)),
            "series": series_of(self.running[subject.name].admin),
            "stall_us": self._stall_us(),
        }
        return Sample({**found.figures, **figures}, found.errors, found.error_kinds)

    def _stall_us(self) -> float:
        label_sets = self.rig.effort.size(LABEL_SETS, tiny=_AUTHORITIES_TINY)
        argv = [sys.executable, "-m", "bench.stall", str(label_sets)]
        core, env = self.rig.placement.subject, {"PYTHONPATH": str(ROOT)}
        child = self.rig.children.start("stall", argv, core=core, env=env)
        try:
            return float(json.loads(child.next_line(deadline_s=60))["stall_us"])
        finally:
            self.rig.children.end(child)

    @contextmanager
    def _scraping(self, running: Running) -> Iterator[list[str]]:
        """Scrapes until the block is left; the list then has a line for each."""
        lines: list[str] = []
        scraper: Child = self.rig.children.start(
            "scraper",
            [sys.executable, "-m", "bench.scraper", running.admin],
            core=self.rig.placement.traffic,
            env={"PYTHONPATH": str(ROOT)},
        )
        try:
            # The first is done before the pass begins.
            lines.append(scraper.next_line(deadline_s=60))
            yield lines
            scraper.process.send_signal(signal.SIGTERM)
            lines += scraper.remaining_lines()
        finally:
            self.rig.children.end(scraper)


def series_of(admin: str) -> int:
    """How many series a proxy shows."""
    client = http.client.HTTPConnection(admin, timeout=30)
    try:
        client.request("GET", "/metrics")
        text = client.getresponse().read()
    finally:
        client.close()
    return sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))


def ask_for_each(running: Running, authorities: int) -> None:
    """One request for each of so many hosts, through each of its ports in turn. BenchError when one is not
    answered.
    """
    clients = [socket.create_connection(_pair(target), timeout=10) for target in running.targets]
    try:
        for number in range(authorities):
            client = clients[number % len(clients)]
            host = f"host-{number}.bench.example"
            client.sendall(f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            if not client.recv(1 << 16).startswith(b"HTTP/1.1 200"):
                raise BenchError(f"{host} was not answered")
    finally:
        for client in clients:
            client.close()


def _pair(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


SCENARIOS: tuple[Scenario, ...] = (
    ScrapedTraffic(
        "scrape-full",
        "HTTP/1, 64 connections at a fifth of what ours can do; a full registry is scraped, and is not",
        (_SCRAPED, "ours-inbound"),
        share=0.2,
        stretch=2,
        cost="p999_us",
        columns=(
            "p50_us",
            "p999_us",
            "max_us",
            "stall_us",
            "cpu_us_per_exchange",
            "render_ms",
            "scrape_bytes",
            "series",
            "private_kib",
        ),
    ),
    Traffic(
        "metrics-cost",
        "HTTP/1 keep-alive, 64 connections, 128 B; ours as it is, and with its metrics compiled out",
        ("ours", "ours-unmetered"),
        load=Load(),
        columns=TRAFFIC_COLUMNS,
    ),
)
