"""What an exposition has, as values."""

import re

Series = dict[frozenset[tuple[str, str]], float]

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def series(text: str, family: str) -> Series:
    """The samples of one name by their labels."""
    found = map(_LINE.match, text.splitlines())
    return {
        frozenset(_LABEL.findall(line[2] or "")): float(line[3])
        for line in found
        if line is not None and line[1] == family
    }


def by(text: str, family: str, label: str) -> dict[str, float]:
    """Those that are not 0, summed by one label."""
    sums: dict[str, float] = {}
    for labels, value in series(text, family).items():
        if value:
            key = dict(labels).get(label, "")
            sums[key] = sums.get(key, 0.0) + value
    return sums
