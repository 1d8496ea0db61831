"""Charts as SVG text: bars of cost, and latency percentiles on a logarithmic scale.

Colours come from the page's style sheet by class, so that they follow light and dark; every value is also
written out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from math import ceil, floor, log10

from bench.report.columns import column, significant
from bench.results import Outcome, Row

PERCENTILES = ("p50_us", "p90_us", "p99_us", "p999_us")
_WIDTH = 720
_LABEL = 150
_VALUE = 140
_LINE = 26
_TOP = 8
_ids = count()


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to x, linear from 0 or logarithmic from `low`."""

    low: float
    high: float
    logarithmic: bool

    def x(self, value: float) -> float:
        """Between the labels and the values."""
        span = _WIDTH - _LABEL - _VALUE
        if self.logarithmic:
            part = log10(max(value, self.low) / self.low) / log10(self.high / self.low)
        else:
            part = value / self.high
        return _LABEL + span * min(max(part, 0), 1)


def decades(values: Sequence[float]) -> Scale:
    """Whole powers of ten around positive values."""
    low, high = 10 ** floor(log10(min(values))), 10 ** ceil(log10(max(values)))
    return Scale(low, high if high > low else low * 10, logarithmic=True)


def bars(outcome: Outcome) -> str:
    """The cost of every row that has one, with its extremes; empty when none has."""
    rows = [(row, row.figure(outcome.cost), row.spread(outcome.cost)) for row in outcome.rows]
    known = [(row, value, spread) for row, value, spread in rows if value is not None and spread]
    highest = max((spread[1] for _, _, spread in known), default=0)
    if highest <= 0:
        return ""
    # One that is far beyond the others would leave them no room.
    scale = Scale(
        0, min(highest, 12 * min(value for _, value, _ in known) or highest), logarithmic=False
    )
    shown = column(outcome.cost)
    parts = []
    for at, (row, value, (low, high)) in enumerate(known):
        y = _TOP + at * _LINE
        middle = y + _LINE / 2
        end = scale.x(value)
        beyond = " →" if value > scale.high else ""
        parts += [
            _text(_LABEL - 8, middle, row.subject, anchor="end"),
            (
                f'<rect class="bar {_class(row)}" x="{_LABEL}" y="{y + 5}"'
                f' width="{end - _LABEL:.1f}" height="{_LINE - 10}"/>'
            ),
            f'<path class="spread" d="M{scale.x(low):.1f} {middle}H{scale.x(high):.1f}"/>',
            _text(max(end, scale.x(high)) + 6, middle, shown.show(value) + beyond),
        ]
    values = ", ".join(f"{row.subject} {shown.show(value)}" for row, value, _ in known)
    return _svg(
        _TOP + len(known) * _LINE + 4,
        title=f"{outcome.scenario}: {shown.heading}",
        description=f"Bars from 0, the line through each from the least to the greatest pass. {values}.",
        parts=parts,
    )


def percentiles(outcome: Outcome) -> str:
    """p50, p90, p99 and p99.9 of every row as dots on a line; empty when there are none."""
    found = [(row, [row.figure(key) for key in PERCENTILES]) for row in outcome.rows]
    known = [(row, [value for value in values if value]) for row, values in found]
    known = [(row, values) for row, values in known if len(values) == len(PERCENTILES)]
    if not known:
        return ""
    scale = decades([value for _, values in known for value in values])
    bottom = _TOP + len(known) * _LINE
    parts = _grid(scale, bottom)
    for at, (row, values) in enumerate(known):
        middle = _TOP + at * _LINE + _LINE / 2
        xs = [scale.x(value) for value in values]
        parts += [
            _text(_LABEL - 8, middle, row.subject, anchor="end"),
            f'<path class="line {_class(row)}" d="M{xs[0]:.1f} {middle}H{xs[-1]:.1f}"/>',
        ]
        parts += [
            f'<circle class="dot {_class(row)}" cx="{x:.1f}" cy="{middle}" r="{radius}"/>'
            for x, radius in zip(xs, (6, 5, 4, 3), strict=True)
        ]
        parts.append(
            _text(_WIDTH - _VALUE + 8, middle, f"{_brief(values[0])} – {_brief(values[-1])}")
        )
    values_text = "; ".join(
        f"{row.subject} " + ", ".join(_brief(value) for value in values) for row, values in known
    )
    return _svg(
        bottom + 24,
        title=f"{outcome.scenario}: latency p50, p90, p99, p99.9",
        description=f"Dots from the largest (p50) to the smallest (p99.9), logarithmic. {values_text}.",
        parts=parts,
    )


def _grid(scale: Scale, bottom: float) -> list[str]:
    parts = []
    value = scale.low
    while value <= scale.high * 1.0001:
        x = scale.x(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
        parts.append(_text(x, bottom + 12, _brief(value), anchor="middle"))
        value *= 10
    return parts


def _brief(micros: float) -> str:
    if micros >= 1e6:
        return f"{significant(micros / 1e6)} s"
    return f"{significant(micros / 1e3)} ms" if micros >= 1e3 else f"{significant(micros)} µs"


def _class(row: Row) -> str:
    return row.family if row.family in {"ours", "limit", "direct"} else "peer"


def _text(x: float, y: float, words: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(height: float, *, title: str, description: str, parts: Sequence[str]) -> str:
    number = next(_ids)
    return "\n".join(
        [
            f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-labelledby="t{number} d{number}">',
            f'<title id="t{number}">{escape(title)}</title>',
            f'<desc id="d{number}">{escape(description)}</desc>',
            *parts,
            "</svg>",
        ]
    )
