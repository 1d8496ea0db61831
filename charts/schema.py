"""Whether values are what the chart's schema says: the part of JSON Schema that it uses.

Helm checks with the same schema. Here the messages are ours, and nothing needs to be installed for it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from linkerd2_py.charts.evaluate import ValuesError

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
"""What YAML cannot hold raw, and no value has a use for."""


def check(values: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raises `ValuesError` with the path of what is wrong first."""
    for found in mistakes(values, schema):
        raise ValuesError(found)


def mistakes(found: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Each with its path."""
    return _Mistakes(schema).of(found, schema, path)


class _Mistakes:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def of(self, found: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        """Of a value that stands at a path."""
        if "$ref" in schema:
            schema = self._root["$defs"][schema["$ref"].rpartition("/")[2]]
        allowed = schema.get("type")
        if allowed is not None and not _is_of(found, allowed):
            yield f"{path or 'values'}: {_shown(found)} is not {_kinds(allowed)}"
            return
        if "enum" in schema and found not in schema["enum"]:
            words = ", ".join(map(str, schema["enum"]))
            yield f"{path}: {_shown(found)} is not one of {words}"
        yield from _limits(found, schema, path)
        if isinstance(found, Mapping):
            yield from self._mapping(found, schema, path)
        elif isinstance(found, list) and "items" in schema:
            for number, one in enumerate(found):
                yield from self.of(one, schema["items"], f"{path}[{number}]")

    def _mapping(
        self, found: Mapping[str, Any], schema: Mapping[str, Any], path: str
    ) -> Iterator[str]:
        declared = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in found:
                yield f"{_below(path, name)}: is missing"
        for name, one in found.items():
            other = schema.get("additionalProperties", True)
            if name in declared:
                yield from self.of(one, declared[name], _below(path, name))
            elif other is False:
                yield f"{_below(path, name)}: no such value{_meant(name, declared)}"
            elif other is not True:
                yield from self.of(one, other, _below(path, name))


def _limits(found: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(found, str):
        if _UNPRINTABLE.search(found):
            yield f"{path}: has signs that cannot be printed"
        elif "pattern" in schema and not re.search(schema["pattern"], found):
            yield f"{path}: {_shown(found)} is not {schema.get('description', schema['pattern'])}"
    elif isinstance(found, (int, float)):
        if found < schema.get("minimum", found):
            yield f"{path}: {found} is less than {schema['minimum']}"
        if found > schema.get("maximum", found):
            yield f"{path}: {found} is more than {schema['maximum']}"


def _is_of(found: Any, allowed: str | Sequence[str]) -> bool:
    names = [allowed] if isinstance(allowed, str) else allowed
    if isinstance(found, bool):
        return "boolean" in names
    if isinstance(found, float) and found.is_integer() and "integer" in names:
        return True
    return any(isinstance(found, _TYPES[name]) for name in names)


def _kinds(allowed: str | Sequence[str]) -> str:
    names = [allowed] if isinstance(allowed, str) else allowed
    return " or ".join(f"a{'n' if name[0] in 'aeiou' else ''} {name}" for name in names)


def _below(path: str, name: str) -> str:
    shown = name if name.isprintable() else ascii(name)
    return f"{path}.{shown}" if path else shown


def _shown(found: Any) -> str:
    written = ascii(found) if not str(found).isprintable() else repr(found)
    return written if len(written) <= 60 else f"{written[:57]}..."


def _meant(name: str, declared: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, declared, n=1)
    return f": did you mean {close[0]}?" if close else ""
