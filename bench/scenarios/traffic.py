"""Scenarios of traffic: one load through every subject, in turn, while all of them are up."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import mean

from bench.accounting import memory_of
from bench.certificates import Certificates, make_certificates
from bench.discovery import AUTHORITY
from bench.errors import BenchError, Unavailable
from bench.programs import Answering, Load, LoadResult, LoadTls, Origin, Window, run_load
from bench.results import Sample
from bench.scenarios.scenario import TRAFFIC_COLUMNS, Rig, Scenario, Stand, figures_of
from bench.subjects.subject import Running, Site, Subject, new_folder

_ASKED, _ANSWERED = Load(), Answering()


@dataclass(frozen=True, slots=True)
class Traffic(Scenario):
    """`endpoints` servers, and further ones that pass (for subjects whose set changes).

    `tls`: clients come over TLS and prove who they are; with `resume` they resume their sessions, where they
    can.
    `together`: subject, load and servers share one processor. `share`: an open loop at this share of what
    ours can do in a closed loop, measured when the scenario opens. `stretch`: passes are so many times
    longer.
    """

    name: str
    description: str
    subjects: tuple[str, ...]
    load: Load = _ASKED
    answering: Answering = _ANSWERED
    endpoints: int = 3
    passing: int = 0
    tls: bool = False
    resume: bool = False
    together: bool = False
    share: float | None = None
    stretch: int = 1
    unit: str = "exchange"
    cost: str = "cpu_us_per_exchange"
    columns: tuple[str, ...] = TRAFFIC_COLUMNS

    @contextmanager
    def open(self, rig: Rig, subjects: tuple[Subject, ...]) -> Iterator["TrafficStand"]:
        """Servers first, then every subject that can be had."""
        stand = self.build(rig)
        for subject in subjects:
            stand.put_up(subject)
        if self.share is not None and stand.running:
            stand.set_pace(next(iter(stand.running.values())), share=self.share)
        yield stand

    def build(self, rig: Rig) -> "TrafficStand":
        """The servers, without subjects."""
        return TrafficStand(rig, self)


class TrafficStand(Stand):
    """The servers and the subjects before them."""

    def __init__(self, rig: Rig, scenario: Traffic) -> None:
        self.rig = rig
        self.scenario = scenario
        self.load = scenario.load
        self.running: dict[str, Running] = {}
        self.absent: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.certificates = new_certificates(rig) if scenario.tls else None
        self.origin = Origin.start(
            rig.children,
            scenario.answering,
            endpoints=scenario.endpoints + scenario.passing,
            core=rig.placement.traffic,
        )

    def site(self) -> Site:
        """Where subjects stand."""
        placement, addresses = self.rig.placement, self.origin.addresses
        return Site(
            children=self.rig.children,
            placement=placement,
            core=placement.traffic if self.scenario.together else placement.subject,
            protocol=self.scenario.answering.protocol,
            servers=addresses[: self.scenario.endpoints],
            passing=addresses[self.scenario.endpoints :],
            clients_tls=self.certificates,
            tickets=self.scenario.resume,
        )

    def put_up(self, subject: Subject) -> None:
        """Start it, or note why not."""
        try:
            self.running[subject.name] = subject.start(self.site())
        except Unavailable as reason:
            self.absent[subject.name] = str(reason)
        except BenchError as error:
            self.failed[subject.name] = str(error)

    def set_pace(self, running: Running, *, share: float) -> None:
        """From now on an open loop, at this share of what `running` does in a closed one."""
        window = self.rig.effort.window
        result = self.ask(running, replace(self.load, arrivals=None), window)
        self.load = replace(
            self.load, rate=max(int(share * result.exchanges / result.seconds), 100)
        )

    def sample(self, subject: Subject) -> Sample:
        """One pass of what was put up under its name."""
        return self.measure(self.running[subject.name])

    def measure(self, running: Running, *, share: float = 1) -> Sample:
        """One pass, or a share of one, with what it used of memory and which servers it chose."""
        before = self.origin.counts()
        window = self.rig.effort.window
        window = replace(window, seconds=window.seconds * self.scenario.stretch * share)
        result = self.ask(running, self.load, window)
        for child in running.children:
            if child.process.poll() is not None:
                raise BenchError(child.complaint(f"ended ({child.status()}) during a pass"))
        figures = figures_of(result)
        if running.pids:
            memory = memory_of(running.pids)
            figures |= {"rss_kib": memory.rss_kib, "private_kib": memory.private_kib}
        if (slow := self.scenario.answering.slow_index) is not None:
            figures["share_slow"] = share_of(slow, before=before, after=self.origin.counts())
        if self.load.rate is not None:
            figures["rate_per_s"] = self.load.rate
        return Sample(figures, errors=result.errors, error_kinds=result.error_kinds)

    def ask(self, running: Running, load: Load, window: Window) -> LoadResult:
        """One run of the load."""
        return run_load(
            self.rig.children,
            load,
            window,
            targets=running.targets,
            authority=AUTHORITY,
            watch=running.pids,
            core=self.rig.placement.traffic,
            tls=self.tls(),
        )

    def tls(self) -> LoadTls | None:
        """The load's side of it."""
        if self.certificates is None:
            return None
        return LoadTls.of(self.certificates, resume=self.scenario.resume)


def new_certificates(rig: Rig) -> Certificates:
    """For one scenario."""
    return make_certificates(new_folder(rig.children.folder, "certificates"))


def share_of(index: int, *, before: Sequence[int], after: Sequence[int]) -> float:
    """Of all requests between two counts, the fraction that one server got."""
    counts = [late - early for early, late in zip(before, after, strict=True)]
    total = sum(counts)
    return counts[index] / total if total else 0.0


def with_difference(costly: Sample, plain: Sequence[Sample]) -> Sample:
    """`costly`, and what it costs more than the mean of the plain ones. Errors are those of all."""
    figures = dict(costly.figures)
    for unit in ("us_per_exchange", "ms_per_gb"):
        key = f"cpu_{unit}"
        costs = [sample.figures[key] for sample in plain if key in sample.figures]
        if key in figures and costs:
            figures[f"plain_{unit}"] = mean(costs)
            figures[f"added_{unit}"] = figures[key] - mean(costs)
    kinds: Counter[str] = Counter()
    for sample in (costly, *plain):
        kinds.update(sample.error_kinds)
    return Sample(figures, errors=kinds.total(), error_kinds=dict(kinds))
