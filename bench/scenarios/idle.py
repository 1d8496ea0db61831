"""Memory: of a subject that has nothing to do, and of each connection that is open and idle."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.accounting import memory_of
from bench.children import Children
from bench.discovery import AUTHORITY
from bench.programs import Answering, Load, LoadTls, Origin, Window, hold, run_load
from bench.results import Sample
from bench.scenarios.scenario import Rig, Scenario, Stand
from bench.scenarios.traffic import new_certificates
from bench.subjects.subject import Running, Site, Subject, new_folder

# What --smoke makes of numbers of connections: a hundredth.
_TINY = 100


@dataclass(frozen=True, slots=True)
class Idle(Scenario):
    """Every sample is of a fresh process: memory that was used once is rarely given back.

    `few` and `many` connections, whole thousands; 9000 stay below 20000 descriptors even where each has one
    to a server too. `tls`: they come over TLS and have proven who they are.
    """

    name: str = "idle"
    description: str = "memory with 0, 1000 and 9000 idle connections; each has made one exchange"
    subjects: tuple[str, ...] = ("ours", "relay", "nginx", "haproxy", "nghttpx", "envoy", "traefik")
    unit: str = "connection"
    cost: str = "private_kib"
    columns: tuple[str, ...] = (
        "rss_kib",
        "private_kib",
        "private_1k_kib",
        "private_9k_kib",
        "kib_per_connection",
    )
    most_passes: int | None = 2
    few: int = 1000
    many: int = 9000
    tls: bool = False

    @contextmanager
    def open(self, rig: Rig, subjects: tuple[Subject, ...]) -> Iterator["IdleStand"]:
        """Only the servers: each sample starts its subject."""
        yield IdleStand(rig, self)


class IdleStand(Stand):
    """Servers that wait."""

    def __init__(self, rig: Rig, scenario: Idle) -> None:
        self.rig = rig
        self.scenario = scenario
        self.absent: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.few = rig.effort.size(scenario.few, tiny=scenario.few // _TINY)
        self.many = rig.effort.size(scenario.many, tiny=scenario.many // _TINY)
        self.certificates = new_certificates(rig) if scenario.tls else None
        self.tls = LoadTls.of(self.certificates) if self.certificates else None
        core = rig.placement.traffic
        self.origin = Origin.start(rig.children, Answering(), endpoints=3, core=core)

    def sample(self, subject: Subject) -> Sample:
        """A fresh subject, filled step by step."""
        placement = self.rig.placement
        with Children(new_folder(self.rig.children.folder, subject.name)) as children:
            site = Site(
                children,
                placement,
                placement.subject,
                "http1",
                self.origin.addresses,
                clients_tls=self.certificates,
            )
            running = subject.start(site)
            figures = self._fill(children, running)
            # That it still works is part of the result.
            result = run_load(
                children,
                Load(connections=1),
                Window(seconds=0.05, warmup=0.05),
                targets=running.targets,
                authority=AUTHORITY,
                watch=(),
                core=placement.traffic,
                tls=self.tls,
            )
        return Sample(figures, errors=result.errors, error_kinds=result.error_kinds)

    def _fill(self, children: Children, running: Running) -> dict[str, float]:
        empty = memory_of(running.pids)
        self._hold(children, running, self.few)
        few = memory_of(running.pids)
        self._hold(children, running, self.many - self.few)
        many = memory_of(running.pids)
        figures: dict[str, float] = {"rss_kib": empty.rss_kib, "private_kib": empty.private_kib}
        for connections, memory in ((self.scenario.few, few), (self.scenario.many, many)):
            figures[f"rss_{connections // 1000}k_kib"] = memory.rss_kib
            figures[f"private_{connections // 1000}k_kib"] = memory.private_kib
        further = self.many - self.few
        figures["kib_per_connection"] = (many.private_kib - few.private_kib) / further
        figures["rss_kib_per_connection"] = (many.rss_kib - few.rss_kib) / further
        return figures

    def _hold(self, children: Children, running: Running, connections: int) -> None:
        hold(
            children,
            connections=connections,
            target=running.targets[0],
            authority=AUTHORITY,
            core=self.rig.placement.traffic,
            tls=self.tls,
        )


SCENARIOS: tuple[Scenario, ...] = (Idle(),)
