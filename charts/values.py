"""The values of the control plane: defaults, and what is laid over them, in Helm's order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from linkerd2_py.charts import flags
from linkerd2_py.charts.evaluate import Object, ValuesError
from linkerd2_py.charts.schema import check

CHART: Final = Path(__file__).parent / "linkerd2-py-control-plane"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fast one where it is; both are safe."""
_MOST_NODES: Final = 100_000
"""Of one file, with what its aliases repeat."""


@dataclass(frozen=True)
class Layers:
    """What a user gives: later ones win, and flags win over files."""

    ha: bool = False
    files: Sequence[str] = ()
    """Their texts."""
    set: Sequence[str] = ()
    set_string: Sequence[str] = ()
    set_file: Sequence[str] = ()
    """`a.b=PATH`: the value is the text of the file."""
    names: Sequence[str] = field(default=())
    """What files are called in messages."""


def values_of(layers: Layers, *, below: Mapping[str, Any] | None = None) -> Object:
    """The values by which everything is made: defaults (or what stands `below`, as the values of an
    installation) with the layers over them, checked. Raises `ValuesError`.
    """
    made = laid_over(below if below is not None else defaults(), given(layers))
    check(made, schema())
    return made


def given(layers: Layers) -> Object:
    """The layers alone, one over the other. Raises `ValuesError`."""
    made: Object = ha() if layers.ha else {}
    for number, text in enumerate(layers.files):
        name = layers.names[number] if number < len(layers.names) else f"values file {number + 1}"
        made = _merged(made, read(text, name=name))
    for text in layers.set:
        flags.set_all(made, text, flag="--set")
    for text in layers.set_string:
        flags.set_all(made, text, flag="--set-string", read=str)
    for text in layers.set_file:
        flags.set_all(made, text, flag="--set-file", read=_file)
    return made


def defaults() -> Object:
    """A copy of the chart's values."""
    return read((CHART / "values.yaml").read_text(), name="values.yaml")


def ha() -> Object:
    """A copy of what the chart has for high availability."""
    return read((CHART / "values-ha.yaml").read_text(), name="values-ha.yaml")


@cache
def schema() -> Mapping[str, Any]:
    """What values may be, as Helm reads it, too."""
    found: Mapping[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found


def read(text: str, *, name: str) -> Object:
    """The values of a file. Raises `ValuesError` for what is no YAML, no mapping, or far too large."""
    try:
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValuesError(f"{name}: no YAML: {' '.join(str(error).split())[:200]}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValuesError(f"{name}: values are a mapping of names")
    return _Copy(name).of(found)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Object:
    """Mappings are joined, everything else is replaced; null takes away what stands below, and is itself
    elsewhere.
    """
    return _without_nulls(_merged(below, above), below=below)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Object:
    made = dict(below)
    for key, one in above.items():
        under = made.get(key)
        both = isinstance(one, Mapping) and isinstance(under, Mapping)
        made[key] = _merged(under, one) if both else one  # type: ignore[arg-type]
    return made


def _without_nulls(made: Mapping[str, Any], *, below: Mapping[str, Any]) -> Object:
    left: Object = {}
    for key, one in made.items():
        under = below.get(key)
        if isinstance(one, Mapping):
            left[key] = _without_nulls(one, below=under if isinstance(under, Mapping) else {})
        elif one is not None or under is None:
            left[key] = one
    return left


def _file(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        raise ValuesError(f"--set-file: {path}: {error}") from error


class _Copy:
    """A copy in which nothing is shared: an alias of an alias of an alias cannot make a small file large."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left = _MOST_NODES

    def of(self, found: dict[Any, Any]) -> Object:
        """Of a mapping. Raises `ValuesError`."""
        copied: Object = self._node(found, deep=0)
        return copied

    def _node(self, found: Any, *, deep: int) -> Any:
        self._left -= 1
        if self._left < 0 or deep > 100:
            raise ValuesError(f"{self._name}: far too large or too deep for values")
        if isinstance(found, dict):
            return {str(key): self._node(one, deep=deep + 1) for key, one in found.items()}
        if isinstance(found, list):
            return [self._node(one, deep=deep + 1) for one in found]
        if found is None or isinstance(found, (str, bool, int, float)):
            return found
        raise ValuesError(
            f"{self._name}: {str(found)[:40]!r} is a {type(found).__name__}: quote it"
        )
