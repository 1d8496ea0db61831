"""Short texts of a mesh.yaml that mean an amount, a name or a network: each is read, or refused where it
stands.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.policy.regex import Regex, RegexError
from linkerd2_py.controlplane.mesh.balancing import WEIGHT_RULE, weight_of
from linkerd2_py.controlplane.mesh.networks import Cidr
from linkerd2_py.controlplane.policy.admission.notations import (
    cidr_of,
    header_name_problem,
    header_value_problem,
)
from linkerd2_py.controlplane.policy.outbound.annotated import AnnotationError, duration
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%\Z")
_RATE: Final = re.compile(r"([0-9]{1,10})/s\Z")
_MOST_REQUESTS: Final = (1 << 32) - 1
_ZONE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\Z")
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z")
_LONGEST_MS: Final = 100 * 365 * 24 * 3_600_000


def span(reader: NodeReader, spot: Spot) -> str | None:
    """A time, as it is written: annotations have the same notation."""
    text = reader.text(spot)
    if text is None:
        return None
    try:
        sound = 0 < duration(text) <= _LONGEST_MS
    except AnnotationError:
        sound = False
    if sound:
        return text.strip()
    reader.refuse(spot, reason=f"must be a time such as 300ms, 10s or 2m, not {text[:40]!r}")
    return None


def share(reader: NodeReader, spot: Spot) -> Fraction | None:
    """`10%`, as a part of 1."""
    text = reader.text(spot)
    if text is None:
        return None
    found = _PERCENT.match(text)
    if found and 0 < (part := Fraction(found[1]) / 100) <= 1:
        return part
    reader.refuse(spot, reason=f"must be a share above 0% and up to 100%, not {text[:40]!r}")
    return None


def rate(reader: NodeReader, spot: Spot) -> int | None:
    """`100/s`."""
    text = reader.text(spot)
    if text is None:
        return None
    found = _RATE.match(text)
    if found and 0 < int(found[1]) <= _MOST_REQUESTS:
        return int(found[1])
    reader.refuse(spot, reason=f"must be requests a second such as 100/s, not {text[:40]!r}")
    return None


def weight(reader: NodeReader, spot: Spot) -> int | None:
    """`2.5`, in ten thousandths."""
    text = reader.text(spot)
    if text is None:
        return None
    found = weight_of(text)
    if found is None:
        reader.refuse(spot, reason=f"{WEIGHT_RULE}, not {text[:40]!r}")
    return found


def zone(reader: NodeReader, spot: Spot) -> str | None:
    """What a zone is called, as Kubernetes lets one be."""
    text = reader.text(spot)
    if text is None or _ZONE.match(text):
        return text
    rule = "must be letters and digits, with -, _ or . between them, 63 at most"
    reader.refuse(spot, reason=f"{rule}, not {text[:80]!r}")
    return None


def network(reader: NodeReader, spot: Spot) -> Cidr | None:
    """An address or a network."""
    text = reader.text(spot)
    found = None if text is None else cidr_of(text)
    if text is not None and found is None:
        reason = f"must be an address or a network such as 10.0.0.0/8, not {text[:40]!r}"
        reader.refuse(spot, reason=reason)
    return found


def method(reader: NodeReader, spot: Spot) -> str | None:
    """Of HTTP, spelled as it is sent."""
    text = reader.text(spot)
    if text is None or _METHOD.match(text):
        return text
    reader.refuse(spot, reason=f"must be a method of HTTP, not {text[:40]!r}")
    return None


def pattern(reader: NodeReader, spot: Spot) -> str | None:
    """A regular expression that proxies have."""
    text = reader.text(spot)
    if text is None:
        return None
    try:
        Regex(text.encode())
    except RegexError as error:
        reader.refuse(spot, reason=f"cannot be used as a pattern: {error}")
        return None
    if text:
        return text
    reader.refuse(spot, reason="must not be empty")
    return None


def header_name(reader: NodeReader, spot: Spot, name: str) -> bool:
    """Whether it can be the name of a header; that of the field it stands at."""
    if header_name_problem(name):
        reader.refuse(spot, reason=f"{name[:40]!r} is no name of a header")
        return False
    return True


def header_value(reader: NodeReader, spot: Spot) -> str | None:
    """What may stand in a head."""
    text = reader.text(spot)
    if text is None or not header_value_problem(text):
        return text
    reader.refuse(spot, reason=f"{text[:40]!r} is no value of a header")
    return None


def field_change(reader: NodeReader, spot: Spot, *, name: str, value: str = "") -> bool:
    """Whether routes may change a field so, as proxies judge it, which would leave the change out."""
    try:
        Edits(set=[(name.lower().encode(), value.encode())])
    except ValueError as error:
        reader.refuse(spot, reason=f"cannot be changed: {error}")
        return False
    return True
