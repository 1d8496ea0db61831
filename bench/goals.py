"""What the proxy is to reach, as data, and whether a run reached it.

All bounds are upper bounds. A goal is judged only when everything it needs was measured, without errors, on a
machine that stayed the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.results import Run

State = Literal["met", "missed", "no verdict", "not measured"]
Take = Literal["median", "least"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one row: its median over the passes, or its least."""

    scenario: str
    subject: str
    key: str
    take: Take = "median"

    def of(self, run: Run) -> float | None:
        """Its value, if it was measured."""
        outcome = run.outcome(self.scenario)
        row = outcome.row(self.subject) if outcome else None
        if row is None:
            return None
        return row.figure(self.key) if self.take == "median" else row.least(self.key)

    def __str__(self) -> str:
        return f"{self.key} of {self.subject} in {self.scenario}"


@dataclass(frozen=True, slots=True)
class Goal:
    """`figure` at most `bound` times the least of `over`; without `over`, at most `bound`.

    `any_of`: those of `over` that were measured are enough.
    """

    name: str
    text: str
    bound: float
    figure: Figure
    over: tuple[Figure, ...] = ()
    any_of: bool = False

    def figures(self) -> Iterator[Figure]:
        """All that it needs."""
        yield self.figure
        yield from self.over

    def judge(self, run: Run) -> "Judgement":
        """Met, missed, or why it cannot be said."""
        value = self.figure.of(run)
        others = [(figure, figure.of(run)) for figure in self.over]
        missing = [figure for figure, found in others if found is None]
        known = [found for _, found in others if found is not None]
        if value is None:
            return Judgement(self, "not measured", None, f"there is no {self.figure}")
        if missing and not (self.any_of and known):
            return Judgement(self, "not measured", None, f"there is no {missing[0]}")
        if known and min(known) <= 0:
            return Judgement(self, "not measured", None, "what it is compared with is 0")
        measured = value / min(known) if known else value
        if (why := self._objection(run)) is not None:
            return Judgement(self, "no verdict", measured, why)
        return Judgement(self, "met" if measured <= self.bound else "missed", measured, "")

    def _objection(self, run: Run) -> str | None:
        for name in dict.fromkeys(figure.scenario for figure in self.figures()):
            outcome = run.outcome(name)
            if outcome is not None and (why := outcome.objection()) is not None:
                return f"{name}: {why}"
        return None


@dataclass(frozen=True, slots=True)
class Judgement:
    """`measured`: the ratio or the figure itself. `why`: for the states that are no answer."""

    goal: Goal
    state: State
    measured: float | None
    why: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in a result file."""
        return {
            "goal": self.goal.name,
            "text": self.goal.text,
            "bound": self.goal.bound,
            "measured": self.measured,
            "state": self.state,
            "why": self.why,
        }


def judge(run: Run) -> tuple[Judgement, ...]:
    """Every goal."""
    return tuple(goal.judge(run) for goal in GOALS)


def _ratio(  # noqa: PLR0917  # one row of the table below
    name: str, text: str, bound: float, key: str, scenario: str, others: Sequence[str]
) -> Goal:
    """Ours over the best of others in the same scenario."""
    over = tuple(Figure(scenario, other, key) for other in others)
    return Goal(name, text, bound, Figure(scenario, "ours", key), over)


def _of_control_plane(text: str, bound: float, key: str) -> Goal:
    """Processor time, which a busy machine can only add to."""
    return Goal("G12", text, bound, Figure("control-plane", "ours", key, take="least"))


_CPU, _CPU_PER_GB = "cpu_us_per_exchange", "cpu_ms_per_gb"
_PEERS = ("nginx", "haproxy", "nghttpx", "envoy", "traefik")

GOALS: tuple[Goal, ...] = (
    _ratio(
        "G1",
        "HTTP/1 CPU ≤ 0.80 × the better of nginx and HAProxy",
        0.80,
        _CPU,
        "http1-64",
        ("nginx", "haproxy"),
    ),
    _ratio("G1", "HTTP/1 CPU ≤ 0.33 × Envoy", 0.33, _CPU, "http1-64", ("envoy",)),
    _ratio("G1", "HTTP/1 CPU ≤ 0.25 × Traefik", 0.25, _CPU, "http1-64", ("traefik",)),
    _ratio(
        "G2",
        "HTTP/1 CPU ≤ 1.20 × the relay, which is the limit",
        1.20,
        _CPU,
        "http1-64",
        ("relay",),
    ),
    _ratio("G3", "HTTP/2 CPU ≤ 0.90 × HAProxy", 0.90, _CPU, "http2-4x32", ("haproxy",)),
    _ratio("G3", "HTTP/2 CPU ≤ 0.65 × nghttpx", 0.65, _CPU, "http2-4x32", ("nghttpx",)),
    _ratio("G3", "HTTP/2 CPU ≤ 0.20 × Envoy", 0.20, _CPU, "http2-4x32", ("envoy",)),
    Goal(
        "G4",
        "1 connection, apart: p50 ≤ 0.50 × the best peer",
        0.50,
        Figure("http1-1-apart", "ours", "p50_us"),
        tuple(Figure("http1-1-apart", peer, "p50_us") for peer in _PEERS),
        any_of=True,
    ),
    _ratio(
        "G4",
        "1 connection, together: p50 ≤ 1.15 × the relay",
        1.15,
        "p50_us",
        "http1-1-together",
        ("relay",),
    ),
    _ratio(
        "G5",
        "1 of 100 slow: its share ≤ 1/50 of round robin's",
        0.02,
        "share_slow",
        "slow-1-of-100",
        ("nginx",),
    ),
    Goal(
        "G5",
        "1 of 100 slow: p99.9 ≤ 1.5 × all healthy",
        1.5,
        Figure("slow-1-of-100", "ours", "p999_us"),
        (Figure("healthy-100", "ours", "p999_us"),),
    ),
    _ratio(
        "G6",
        "bodies of 1 MiB: CPU per GB ≤ 0.65 × HAProxy",
        0.65,
        _CPU_PER_GB,
        "body-1m",
        ("haproxy",),
    ),
    _ratio(
        "G6", "bodies of 1 MiB: CPU per GB ≤ 0.45 × nginx", 0.45, _CPU_PER_GB, "body-1m", ("nginx",)
    ),
    _ratio("G7", "idle: RSS ≤ 0.45 × Envoy", 0.45, "rss_kib", "idle", ("envoy",)),
    Goal(
        "G7",
        "idle: private memory ≤ 13 MiB (13312 KiB)",
        13 * 1024,
        Figure("idle", "ours", "private_kib"),
    ),
    Goal("G7", "an idle connection ≤ 0.6 KiB", 0.6, Figure("idle", "ours", "kib_per_connection")),
    _ratio("G8", "metrics cost ≤ 3 % CPU", 1.03, _CPU, "metrics-cost", ("ours-unmetered",)),
    # A stall that the scrape itself makes is in every pass; what other programs do is not.
    Goal(
        "G8",
        "all series scraped: the longest stall ≤ 1 ms (1000 µs)",
        1000,
        Figure("scrape-full", "ours-scraped", "stall_us", take="least"),
    ),
    Goal(
        "G8",
        "a tap that is told of one request in 100 adds ≤ 2 % CPU",
        2,
        Figure("tap-cost", "ours-tapped", "added_percent"),
    ),
    _ratio(
        "G9",
        "a connection per request: CPU ≤ 0.95 × nginx",
        0.95,
        _CPU,
        "connection-per-request",
        ("nginx",),
    ),
    Goal("G10", "from exec to the first byte ≤ 120 ms", 120, Figure("start", "ours", "start_ms")),
    Goal(
        "G11",
        "mutual TLS between two proxies: added CPU ≤ 1.00 × nginx's",
        1.00,
        Figure("tls-leg", "ours-pair", "added_us_per_exchange"),
        (Figure("tls-leg", "nginx-pair", "added_us_per_exchange"),),
    ),
    Goal(
        "G11",
        "full mutual handshake: CPU ≤ 1.10 × nginx's, which does not ask clients who they are",
        1.10,
        Figure("tls-handshakes", "ours-inbound", _CPU),
        (Figure("tls-handshakes", "nginx-one-sided", _CPU),),
    ),
    # 0.9 of its throughput per second of processor time.
    Goal(
        "G11",
        "bodies of 1 MiB over TLS: CPU per GB ≤ 1.11 × nginx",
        1.11,
        Figure("tls-body-1m", "ours-inbound", _CPU_PER_GB),
        (Figure("tls-body-1m", "nginx", _CPU_PER_GB),),
    ),
    Goal(
        "G13",
        "ten routes with times and retries: CPU ≤ 1.08 × without",
        1.08,
        Figure("routes-http1", "ours-routed", _CPU),
        (Figure("routes-http1", "ours", _CPU),),
    ),
    Goal(
        "G13",
        "the same routes: CPU ≤ 0.35 × Envoy",
        0.35,
        Figure("routes-http1", "ours-routed", _CPU),
        (Figure("routes-http1", "envoy-routed", _CPU),),
    ),
    Goal(
        "G13",
        "routes with authorizations, and a rate: CPU ≤ 0.35 × Envoy",
        0.35,
        Figure("policy-http1", "ours-policed", _CPU),
        (Figure("policy-http1", "envoy-policed", _CPU),),
    ),
    _of_control_plane("control plane: Get of 1,000 services ≤ 1 s of CPU", 1000, "get_cpu_ms"),
    _of_control_plane("1,000 GetProfile by address ≤ 0.5 s of CPU", 500, "profile_cpu_ms"),
    _of_control_plane("a rollout of 1,000 pods ≤ 1.5 s of CPU", 1500, "rollout_cpu_ms"),
    _of_control_plane("stat deploy joined with 10,000 pods ≤ 0.3 s of CPU", 300, "stat_cpu_ms"),
    _of_control_plane("none of these stalls the loop for more than 50 ms", 50, "stall_ms"),
)
