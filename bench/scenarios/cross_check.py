"""Other people's load generators against ours: the same subject, the same traffic, the same rate?"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from bench.errors import BenchError
from bench.results import Sample
from bench.scenarios.scenario import Rig, Scenario
from bench.scenarios.traffic import Traffic, TrafficStand
from bench.subjects.subject import Subject, on_path


@dataclass(frozen=True, slots=True)
class Tool:
    """`argv` for a whole number of seconds; `rate` finds exchanges a second in what it prints, `failures`
    those that failed.
    """

    name: str
    argv: tuple[str, ...]
    rate: re.Pattern[str]
    failures: re.Pattern[str]

    def command(self, address: str, *, connections: int, seconds: int) -> list[str]:
        """The whole command line."""
        values = {"connections": connections, "seconds": seconds, "address": address}
        return [self.name, *(word.format(**values) for word in self.argv)]

    def read(self, text: str) -> Sample:
        """From its output. BenchError when it is not what was expected."""
        found = self.rate.search(text)
        if found is None:
            raise BenchError(f"{self.name} did not say how fast it was")
        failed = sum(
            int(number) for match in self.failures.findall(text) for number in _flat(match)
        )
        return Sample(
            {"exchanges_per_s": float(found[1])}, errors=failed, error_kinds={"failed": failed}
        )


TOOLS = {
    "ours-by-wrk": Tool(
        "wrk",
        ("-t1", "-c{connections}", "-d{seconds}s", "http://{address}/"),
        re.compile(r"Requests/sec:\s+([\d.]+)"),
        re.compile(
            r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)"
            r"|Non-2xx or 3xx responses: (\d+)"
        ),
    ),
    "ours-by-h2load": Tool(
        "h2load",
        ("--h1", "-t1", "-c{connections}", "-D{seconds}", "http://{address}/"),
        re.compile(r"finished in [\d.]+\w*, ([\d.]+) req/s"),
        re.compile(r"(\d+) failed"),
    ),
}


@dataclass(frozen=True, slots=True)
class CrossCheck(Traffic):
    """Each of its subjects is ours; all but the first are asked by other tools."""

    @contextmanager
    def open(self, rig: Rig, subjects: tuple[Subject, ...]) -> Iterator[TrafficStand]:
        """As any traffic."""
        stand = CrossCheckStand(rig, self)
        for subject in subjects:
            stand.put_up(subject)
        yield stand


class CrossCheckStand(TrafficStand):
    """Three of our proxies, and three who ask."""

    def put_up(self, subject: Subject) -> None:
        """Without its tool there is no use in it."""
        tool = TOOLS.get(subject.name)
        if tool is not None and on_path(tool.name) is None:
            self.absent[subject.name] = f"{tool.name} is not installed"
        else:
            TrafficStand.put_up(self, subject)

    def sample(self, subject: Subject) -> Sample:
        """By the tool that the subject's name names."""
        tool = TOOLS.get(subject.name)
        if tool is None:
            return TrafficStand.sample(self, subject)
        command = tool.command(
            self.running[subject.name].targets[0],
            connections=self.load.connections,
            seconds=max(ceil(self.rig.effort.seconds), 1),
        )
        return tool.read(_output_of(command))


def _output_of(command: Sequence[str]) -> str:
    # It inherits the processor of this process: the one for traffic.
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} did not end in time") from None
    if done.returncode != 0:
        raise BenchError(f"{command[0]} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _flat(match: str | tuple[str, ...]) -> Iterator[str]:
    yield from (number for number in ((match,) if isinstance(match, str) else match) if number)


SCENARIOS: tuple[Scenario, ...] = (
    CrossCheck(
        "cross-check",
        "HTTP/1 keep-alive, 64 connections, ours: do wrk and h2load see the rate that our load sees?",
        ("ours", "ours-by-wrk", "ours-by-h2load"),
        columns=("exchanges_per_s", "p50_us", "p99_us"),
        cost="exchanges_per_s",
    ),
)
