"""Start: from exec until the first byte of an answer has come through."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bench.children import DEADLINE_S, Children
from bench.discovery import AUTHORITY
from bench.errors import BenchError
from bench.programs import Answering, Origin
from bench.results import Sample
from bench.scenarios.scenario import Rig, Scenario, Stand
from bench.subjects.subject import Running, Site, Subject, new_folder

_POLL_S = 0.0005


@dataclass(frozen=True, slots=True)
class Start(Scenario):
    """Servers and the control plane are up before."""

    name: str = "start"
    description: str = "from exec to the first byte of the first answer"
    subjects: tuple[str, ...] = ("ours", "nginx", "haproxy", "nghttpx", "envoy", "traefik", "relay")
    unit: str = "start"
    cost: str = "start_ms"
    columns: tuple[str, ...] = ("start_ms",)

    @contextmanager
    def open(self, rig: Rig, subjects: tuple[Subject, ...]) -> Iterator["StartStand"]:
        """Only the servers."""
        yield StartStand(rig)


class StartStand(Stand):
    """Servers that wait."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.absent: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        core = rig.placement.traffic
        self.origin = Origin.start(rig.children, Answering(), endpoints=3, core=core)

    def sample(self, subject: Subject) -> Sample:
        """One start and its first answer."""
        placement = self.rig.placement
        with Children(new_folder(self.rig.children.folder, subject.name)) as children:
            site = Site(children, placement, placement.subject, "http1", self.origin.addresses)
            running = subject.launch(site)
            answered_s = first_answer(running)
            return Sample({"start_ms": (answered_s - running.children[0].started_s) * 1e3})


def first_answer(running: Running) -> float:
    """When the first byte of a 200 came; asks again and again until then."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with suppress(OSError):
            if (moment := _ask(running.targets[0])) is not None:
                return moment
        child = running.children[0]
        if child.process.poll() is not None:
            raise BenchError(child.complaint("did not start"))
        time.sleep(_POLL_S)
    raise BenchError(running.children[0].complaint(f"did not answer within {DEADLINE_S:g} s"))


def _ask(address: str) -> float | None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=2) as client:
        client.sendall(f"GET / HTTP/1.1\r\nhost: {AUTHORITY}\r\n\r\n".encode())
        head = client.recv(1 << 16)
        moment = time.monotonic()
    return moment if head.startswith(b"HTTP/1.1 200") else None


SCENARIOS: tuple[Scenario, ...] = (Start(),)
