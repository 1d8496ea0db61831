"""What it costs to be watched.

A tap is asked for as much as it may have, so that what it costs stands out of what else the machine does.
From the cost of one request that it is told of follows what it would cost to be told of one in a hundred.
"""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bench.errors import BenchError
from bench.native import ROOT
from bench.results import Sample
from bench.scenarios.scenario import TRAFFIC_COLUMNS, Rig, Scenario
from bench.scenarios.traffic import Traffic, TrafficStand, new_certificates, with_difference
from bench.subjects.subject import Running, Site, Subject

_TOLD_PER_S = 1000
_ONE_IN = 100


@dataclass(frozen=True, slots=True)
class TappedTraffic(Traffic):
    """A pass asks a proxy while it is tapped, and the same one before and after; the difference is the
    tap's.
    """

    def build(self, rig: Rig) -> "TappedStand":
        """The servers, without subjects."""
        return TappedStand(rig, self)


class TappedStand(TrafficStand):
    """Subjects that one client may tap."""

    def __init__(self, rig: Rig, scenario: TappedTraffic) -> None:
        TrafficStand.__init__(self, rig, scenario)
        self.tap_tls = new_certificates(rig)

    def site(self) -> Site:
        """With who may tap."""
        return replace(TrafficStand.site(self), pair_tls=self.tap_tls)

    def sample(self, subject: Subject) -> Sample:
        """The figures are those of a proxy that is tapped.

        Half of the pass without a tap comes before, half after: what the machine does more and more, or less
        and less, falls on both.
        """
        running = self.running[subject.name]
        before = self.measure(running, share=0.5)
        with self._tapping(running) as told:
            between = self.measure(running)
        after = self.measure(running, share=0.5)
        return with_told(with_difference(between, (before, after)), told)

    @contextmanager
    def _tapping(self, running: Running) -> Iterator[list[float]]:
        """Taps until the block is left; the list then says how many requests a second it was told of."""
        client, certificates = self.tap_tls.client, self.tap_tls
        words = [running.tap, f"--rate={_TOLD_PER_S}", f"--name={certificates.server.name}"]
        words += [f"--anchors={certificates.anchors}", f"--chain={client.chain}"]
        tapper = self.rig.children.start(
            "tapper",
            [sys.executable, "-m", "bench.tapper", *words, f"--key={client.key}"],
            core=self.rig.placement.traffic,
            env={"PYTHONPATH": str(ROOT)},
        )
        told: list[float] = []
        try:
            # It is told of the first one before the pass begins, or at its begin.
            tapper.next_line(deadline_s=60)
            yield told
            tapper.process.send_signal(signal.SIGTERM)
            told.append(json.loads(tapper.remaining_lines()[-1])["told_per_s"])
        finally:
            self.rig.children.end(tapper)


def with_told(sample: Sample, told: list[float]) -> Sample:
    """What the tap adds by each request that it was told of, and the share of all that it would add if one in
    a hundred were told. BenchError when it was told of none.
    """
    if not told or not told[-1]:
        raise BenchError("the tap was told of nothing")
    figures = {**sample.figures, "told_per_s": told[-1]}
    if "added_us_per_exchange" in figures:
        added = figures["added_us_per_exchange"] * figures["exchanges_per_s"] / told[-1]
        figures["added_us_per_told"] = added
        figures["added_percent"] = 100 * added / _ONE_IN / figures["plain_us_per_exchange"]
    return replace(sample, figures=figures)


SCENARIOS: tuple[Scenario, ...] = (
    TappedTraffic(
        "tap-cost",
        "HTTP/1 keep-alive, 64 connections, 128 B, before, while and after one tap is told of 1,000 requests "
        "a second over mutual TLS; added CPU % is for one request in 100",
        ("ours-tapped",),
        cost="added_us_per_told",
        columns=(
            "added_percent",
            "added_us_per_told",
            "told_per_s",
            "plain_us_per_exchange",
            "cpu_us_per_exchange",
            "exchanges_per_s",
            *TRAFFIC_COLUMNS[2:],
        ),
    ),
)
