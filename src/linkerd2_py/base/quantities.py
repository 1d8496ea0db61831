"""Amounts of CPU, memory and storage, as Kubernetes writes them."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Final

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))"
    r"(?P<suffix>Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE](?P<exponent>[+-]?[0-9]{1,2}))",
    re.ASCII,
)
_DECIMAL: Final = {
    "n": -9,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def read_quantity(text: str) -> Decimal:
    """How much it is. ValueError for what is no quantity."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a quantity: write e.g. 100m, 0.5 or 64Mi")
    number, suffix, exponent = Decimal(found["number"]), found["suffix"], found["exponent"]
    if exponent is not None:
        return number.scaleb(int(exponent))
    if suffix in _BINARY:
        return number * (1 << _BINARY[suffix])
    return number.scaleb(_DECIMAL[suffix])


def whole_cores(text: str) -> int:
    """CPUs, rounded up. ValueError for what is no quantity."""
    return int(read_quantity(text).to_integral_value(ROUND_CEILING))
