"""The questions of `MetricsStore` as expressions of PromQL."""

from typing import Final

from linkerd2_py.controlplane.metrics.store import Selection

LARGEST: Final = 2**64
"""What 64 bits count, as in the embedded store. NaN is not below it either: a proxy that says such a thing
spoils nobody else's sums.
"""
_SOUND: Final = f"<= {LARGEST}"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def sum_increase(family: str, *, selection: Selection, length_ms: int) -> str:
    """By how much counters grew, summed by group."""
    inner = f"increase({_series(family, selection)}[{length_ms}ms])"
    return _summed(inner, by=selection.group_by)


def quantile(family: str, *, selection: Selection, length_ms: int, wanted: float) -> str:
    """A quantile of what histograms observed, by group."""
    inner = f"rate({_series(family, selection)}[{length_ms}ms])"
    summed = _summed(inner, by=("le", *selection.group_by))
    return f"histogram_quantile({wanted!r}, {summed})"


def latest(family: str, *, selection: Selection) -> str:
    """The newest values, summed by group."""
    return _summed(_series(family, selection), by=selection.group_by)


def _summed(inner: str, *, by: tuple[str, ...]) -> str:
    return f"sum({inner} {_SOUND}) by ({', '.join(by)})"


def _series(family: str, selection: Selection) -> str:
    matchers = [
        *(f"{name}={quoted(value)}" for name, value in selection.matching.items()),
        *(f'{name}!=""' for name in selection.present),
        *(f"{name}!={quoted(value)}" for name, value in selection.without.items()),
    ]
    return f"{family}{{{', '.join(matchers)}}}"


def quoted(value: str) -> str:
    """A label's value in an expression, which it cannot end."""
    return f'"{value.translate(_ESCAPES)}"'
