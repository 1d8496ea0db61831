"""What a tree is with given values, as Helm would have it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import singledispatch
from typing import Any as Anything
from typing import Final, TypeAlias

from linkerd2_py.charts.nodes import (
    All,
    Any,
    Applied,
    AtLeast,
    Branch,
    Choice,
    Default,
    Each,
    Entries,
    Equal,
    Expression,
    Extended,
    Function,
    Items,
    Joined,
    Let,
    Manifest,
    Not,
    Operand,
    Pairs,
    Plain,
    Ref,
    Refusal,
    Shared,
    Text,
    Tree,
    WebhookCertificate,
    When,
    Without,
)
from linkerd2_py.charts.written import as_yaml

Object: TypeAlias = dict[str, Anything]
Roots: TypeAlias = Mapping[str, Anything]
"""What references start from: `Values`, `Release`, and the names of `Each` and `Let`."""


class ValuesError(Exception):
    """Values of which nothing can be made; the message names them."""


class _Nothing(Enum):
    ABSENT = "absent"


_ABSENT: Final = _Nothing.ABSENT


def roots(
    values: Mapping[str, Anything], *, namespace: str = "linkerd", service: str = "CLI"
) -> Roots:
    """What trees refer to, for these values. `service` is who renders them, as Helm has it."""
    return {"Values": values, "Release": {"Namespace": namespace, "Service": service}}


def evaluate(tree: Tree, known: Roots) -> Anything:
    """Plain mappings, lists and scalars. Raises `ValuesError`; None for a branch that is not there."""
    made = _tree(tree, known)
    return None if made is _ABSENT else made


def objects(manifest: Manifest, known: Roots) -> Iterator[Object]:
    """Those of a file, in its order. Raises `ValuesError`."""
    named = dict(known)
    for part in manifest.parts:
        if isinstance(part, Refusal):
            if value(part.condition, named):
                raise ValuesError(part.words)
        elif isinstance(part, Let):
            named[part.name] = value(part.value, named)
        else:
            yield from _spliced((part,), named)


def _tree(tree: Tree, known: Roots) -> Anything:
    if isinstance(tree, Expression):
        return value(tree, known)
    if isinstance(tree, Branch):
        return _branch(tree, known)
    if isinstance(tree, Mapping):
        return _mapping(tree, known)
    if isinstance(tree, Sequence) and not isinstance(tree, str):
        return (_spliced(tree, known) or None) if tree else []
    return tree


def _branch(tree: Branch, known: Roots) -> Anything:
    if isinstance(tree, When):
        chosen = tree.then if _holds(tree.condition, known) else tree.otherwise
        return _ABSENT if chosen is None else _tree(chosen, known)
    if isinstance(tree, Extended):
        added = {key: one for layer in tree.by for key, one in (value(layer, known) or {}).items()}
        others = {key: one for key, one in added.items() if key not in tree.own}
        return {**(_mapping(tree.own, known) or {}), **others} or None
    if isinstance(tree, Shared):
        return _mapping(tree.tree, known)
    return _spliced((tree,), known) or None


def _mapping(tree: Mapping[str, Tree], known: Roots) -> Object | None:
    made = {key: _tree(one, known) for key, one in tree.items()}
    there = {key: one for key, one in made.items() if one is not _ABSENT}
    return there if there or not tree else None


def _spliced(items: Sequence[Tree], known: Roots) -> list[Anything]:
    return [made for item in items for made in _item(item, known)]


def _item(item: Tree, known: Roots) -> Iterator[Anything]:
    if isinstance(item, Items):
        yield from _spliced(item.items, known)
    elif isinstance(item, Each):
        for one in value(item.over, known) or ():
            yield from _item(item.item, {**known, item.name: one})
    elif isinstance(item, Pairs):
        for key, one in sorted((value(item.over, known) or {}).items()):
            pair = {f"{item.name}Key": key, f"{item.name}Value": one}
            yield from _item(item.item, {**known, **pair})
    elif isinstance(item, When):
        chosen = item.then if _holds(item.condition, known) else item.otherwise
        if chosen is not None:
            yield from _item(chosen, known)
    else:
        yield _tree(item, known)


def _holds(condition: Operand, known: Roots) -> bool:
    return bool(value(condition, known))


@singledispatch
def value(expression: Expression | Plain, _: Roots) -> Anything:
    """What an expression stands for; plain values stand for themselves."""
    return expression


@value.register
def _(expression: Ref, known: Roots) -> Anything:
    found = known[expression.of]
    for word in expression.path.split(".") if expression.path else ():
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise ValuesError(f"{expression.path}: {word} is asked for where no mapping is")
        found = found.get(word)
    return found


@value.register
def _(expression: Text, known: Roots) -> str:
    return "".join(_part(part, known) for part in expression.parts)


def _part(part: Operand, known: Roots) -> str:
    found = value(part, known)
    if found is None:
        raise ValuesError(f"{part.path if isinstance(part, Ref) else part} is not set")
    return as_text(found)


@value.register
def _(expression: Default, known: Roots) -> Anything:
    return value(expression.value, known) or value(expression.otherwise, known)


@value.register
def _(expression: Choice, known: Roots) -> Anything:
    met = _holds(expression.condition, known)
    return value(expression.then if met else expression.otherwise, known)


@value.register
def _(expression: Equal, known: Roots) -> bool:
    return as_text(value(expression.left, known)) == as_text(value(expression.right, known))


@value.register
def _(expression: AtLeast, known: Roots) -> bool:
    return int(value(expression.value, known) or 0) >= expression.least


@value.register
def _(expression: Not, known: Roots) -> bool:
    return not value(expression.value, known)


@value.register
def _(expression: All, known: Roots) -> bool:
    return all(value(part, known) for part in expression.parts)


@value.register
def _(expression: Any, known: Roots) -> bool:
    return any(value(part, known) for part in expression.parts)


@value.register
def _(expression: Applied, known: Roots) -> str:
    return _FUNCTIONS[expression.function](value(expression.value, known))


@value.register
def _(expression: Joined, known: Roots) -> str:
    return expression.between.join(as_text(one) for one in value(expression.value, known) or ())


@value.register
def _(expression: Entries, known: Roots) -> str:
    entries = sorted((value(expression.value, known) or {}).items())
    return "".join(f"{key}={as_text(one)}\n" for key, one in entries)


@value.register
def _(expression: Without, known: Roots) -> Object:
    made: Object = dict(value(expression.value, known))
    for path in expression.paths:
        made = _cut(made, path.split("."))
    return made


@value.register
def _(expression: WebhookCertificate, known: Roots) -> Object:
    given = value(Ref(expression.at), known)
    if given["externalSecret"] or not given.get("enabled", True):
        return {"crt": "", "key": "", "ca": given["caBundle"].strip()}
    certificate, key = given["crtPEM"].strip(), given["keyPEM"].strip()
    if not (certificate and key):
        raise ValuesError(f"{expression.at}.crtPEM and {expression.at}.keyPEM are not set")
    return {"crt": certificate, "key": key, "ca": given["caBundle"].strip() or certificate}


def _cut(mapping: Mapping[str, Anything], path: Sequence[str]) -> Object:
    first, *rest = path
    if not rest:
        return {key: one for key, one in mapping.items() if key != first}
    below = mapping.get(first)
    return {**mapping, first: _cut(below, rest)} if isinstance(below, Mapping) else dict(mapping)


def as_text(found: Anything) -> str:
    """A scalar as Helm's `toString` writes it."""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float) and found.is_integer() and abs(found) < 1e21:
        return str(int(found))
    return "" if found is None else str(found)


def as_json(found: Anything) -> str:
    """As Helm's `toJson` writes it."""
    written = json.dumps(
        _whole(found), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    for sign in "<>&\u2028\u2029":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return written


def _whole(found: Anything) -> Anything:
    """With numbers as Go writes them."""
    if isinstance(found, Mapping):
        return {key: _whole(one) for key, one in found.items()}
    if isinstance(found, (list, tuple)):
        return [_whole(one) for one in found]
    return int(found) if isinstance(found, float) and found.is_integer() else found


def _as_yaml(found: Anything) -> str:
    return as_yaml([found]).removeprefix("---").strip()


_FUNCTIONS: Final[Mapping[Function, Callable[[Anything], str]]] = {
    Function.BASE64: lambda found: base64.b64encode(as_text(found).encode()).decode(),
    Function.TRIM: lambda found: as_text(found).strip(),
    Function.SHA256: lambda found: hashlib.sha256(as_text(found).encode()).hexdigest(),
    Function.JSON: as_json,
    Function.YAML: _as_yaml,
}
