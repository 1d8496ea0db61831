"""What was measured, as immutable values: samples of single passes, rows of subjects, ratios,
and verdicts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.machine import Machine
from bench.subjects.subject import Family

DRIFT_LIMIT = 0.05
"""Between the calibrations before and after a scenario; beyond it the machine was not the same."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One pass of one subject: figures by name, and how many exchanges went wrong, by kind."""

    figures: Mapping[str, float]
    errors: int = 0
    error_kinds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One subject in one scenario."""

    scenario: str
    subject: str
    family: Family
    version: str
    samples: tuple[Sample, ...]

    @property
    def errors(self) -> int:
        """In all passes."""
        return sum(sample.errors for sample in self.samples)

    def keys(self) -> tuple[str, ...]:
        """Names of the figures that some pass has, in their order."""
        return tuple(dict.fromkeys(key for sample in self.samples for key in sample.figures))

    def values(self, key: str) -> tuple[float, ...]:
        """One figure, of every pass that has it."""
        return tuple(
            sample.figures[key] for sample in self.samples if sample.figures.get(key) is not None
        )

    def figure(self, key: str) -> float | None:
        """Its median."""
        values = self.values(key)
        return median(values) if values else None

    def least(self, key: str) -> float | None:
        """Its least value: what noise has added to least."""
        return min(self.values(key), default=None)

    def spread(self, key: str) -> tuple[float, float] | None:
        """Its least and its greatest value."""
        values = self.values(key)
        return (min(values), max(values)) if values else None


@dataclass(frozen=True, slots=True)
class Ratio:
    """One row's figure over another's: taken within each pass, then the median and the extremes."""

    median: float
    low: float
    high: float


def ratio(row: Row, other: Row, key: str) -> Ratio | None:
    """`row / other`; None when there is no pass in which both have the figure."""
    pairs = [
        mine.figures[key] / theirs.figures[key]
        for mine, theirs in zip(row.samples, other.samples, strict=False)
        if mine.figures.get(key) is not None and theirs.figures.get(key)
    ]
    return Ratio(median(pairs), min(pairs), max(pairs)) if pairs else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` says who wins by how much, or why nothing may be said."""

    given: bool
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scenario, measured.

    `cost` is the figure that subjects are compared by, and `columns` are those to show. `calibration`:
    nanoseconds before and after. `absent`: why a subject cannot be had. `failed`: what went wrong with one.
    `failure`: why there are no rows at all.
    """

    scenario: str
    description: str
    unit: str
    cost: str
    columns: tuple[str, ...]
    ours: str
    rows: tuple[Row, ...] = ()
    calibration: tuple[float | None, float | None] = (None, None)
    absent: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None

    def row(self, subject: str) -> Row | None:
        """The row of that name."""
        return next((row for row in self.rows if row.subject == subject), None)

    def limit(self) -> Row | None:
        """The copying relay's row."""
        return self.row("relay")

    @property
    def drift(self) -> float | None:
        """How much dearer (or, below 0, cheaper) the machine became meanwhile, as a fraction."""
        before, after = self.calibration
        return after / before - 1 if before and after else None

    def objection(self) -> str | None:
        """Why these figures must not be judged."""
        if self.failure:
            return self.failure
        for why in self.failed.values():
            return why
        for row in self.rows:
            if row.errors:
                return f"{row.errors} errors in {row.subject} ({kinds_of(row)})"
        if self.drift is None:
            return "the machine was not calibrated"
        if abs(self.drift) > DRIFT_LIMIT:
            return f"the machine's calibration drifted by {self.drift:+.1%}"
        return None

    def verdict(self) -> Verdict:
        """Ours against the peer that is best by `cost`, in one line."""
        if (why := self.objection()) is not None:
            return Verdict(given=False, text=f"no verdict: {why}")
        ours = self.row(self.ours)
        peer = self._best_peer() or self._control()
        if ours is None or peer is None:
            return Verdict(given=False, text="no verdict: there is nothing to compare with")
        found = ratio(ours, peer, self.cost)
        if found is None:
            return Verdict(given=False, text=f"no verdict: no figure {self.cost} in both")
        return Verdict(given=True, text=_comparison(found, peer=peer, cost=self.cost))

    def _control(self) -> Row | None:
        """Where there is no peer: ours under other circumstances."""
        others = (row for row in self.rows if row.subject != self.ours and row.family == "ours")
        return next(others, None)

    def _best_peer(self) -> Row | None:
        rivals = [
            (cost, row)
            for row in self.rows
            if row.family not in {"ours", "limit", "direct"}
            and (cost := row.figure(self.cost)) is not None
        ]
        return min(rivals, key=lambda pair: pair[0])[1] if rivals else None


@dataclass(frozen=True, slots=True)
class Run:
    """Everything of one run. `date`: ISO 8601, UTC."""

    machine: Machine
    date: str
    outcomes: tuple[Outcome, ...]

    def outcome(self, scenario: str) -> Outcome | None:
        """The scenario of that name."""
        return next((each for each in self.outcomes if each.scenario == scenario), None)

    @property
    def sound(self) -> bool:
        """Whether every scenario was measured and no exchange went wrong."""
        return not any(
            outcome.failure or outcome.failed or any(row.errors for row in outcome.rows)
            for outcome in self.outcomes
        )


def kinds_of(row: Row) -> str:
    """`3 refused, 1 status`."""
    totals: dict[str, int] = {}
    for sample in row.samples:
        for kind, count in sample.error_kinds.items():
            totals[kind] = totals.get(kind, 0) + count
    return ", ".join(f"{count} {kind}" for kind, count in totals.items() if count) or "unknown"


def row_as_json(row: Row) -> dict[str, Any]:
    """Medians under their own names; the extremes beside them, and every pass."""
    medians = {key: row.figure(key) for key in row.keys()}  # noqa: SIM118  # not a mapping
    return {
        "scenario": row.scenario,
        "subject": row.subject,
        "version": row.version,
        **medians,
        "errors": row.errors,
        "passes": len(row.samples),
        "spread": {key: row.spread(key) for key in medians},
        "samples": [dict(sample.figures) for sample in row.samples],
    }


def _comparison(found: Ratio, *, peer: Row, cost: str) -> str:
    words = f"{found.median:.2f} × {peer.subject} in {cost} ({found.low:.2f} to {found.high:.2f})"
    if peer.family == "ours":
        return words
    if found.high < 1:
        return f"ours is better than every peer: {words}"
    if found.low > 1:
        return f"ours is worse than the best peer: {words}"
    return f"ours and the best peer are level: {words}"


def by_name(outcomes: Sequence[Outcome]) -> Mapping[str, Outcome]:
    """Scenarios by name."""
    return {outcome.scenario: outcome for outcome in outcomes}
