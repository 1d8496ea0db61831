"""A tree as the text of Helm's templates.

Whatever comes from values is written as JSON, which is YAML too: no value can end a scalar, a line or a
document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import singledispatch
from typing import Final

from linkerd2_py.charts.nodes import (
    NAMESPACE,
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
    Items,
    Joined,
    Let,
    Manifest,
    Not,
    Operand,
    Pairs,
    Part,
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
from linkerd2_py.charts.written import is_plain

Lines = Iterator[str]
CERTIFICATE_TEMPLATE: Final = "linkerd2-py.webhook-certificate"
"""Which the chart has in `_certificates.tpl`."""
_TEXT: Final = "linkerd2-py.text"
_TEXT_TEMPLATE: Final = (
    f'{{{{- define "{_TEXT}" }}}}'
    '{{- if kindIs "float64" . }}{{ toJson . }}{{ else }}{{ toString . }}{{ end }}{{ end }}'
)
"""A scalar as a text. Numbers of values are floats to Helm, whose `toString` makes 1e+06 of a million."""
_ENTRIES: Final = "linkerd2-py.entries"
_ENTRIES_TEMPLATE: Final = (
    f'{{{{- define "{_ENTRIES}" }}}}{{{{- range $key, $value := . }}}}'
    f'{{{{ $key }}}}={{{{ include "{_TEXT}" $value }}}}{{{{ "\\n" }}}}{{{{- end }}}}{{{{ end }}}}'
)
"""A mapping as lines, in the order of its keys, in which Go ranges over it."""
_STEP: Final = "  "
_BREAKS: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
"""What ends a line in YAML, or may not be there raw, and is nothing special in JSON."""
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What Go's templates take after a dot."""


class TreeError(Exception):
    """A tree of which no template can be written: the mistake is in the tree, not in values."""


def template(manifest: Manifest, *, source: str) -> str:
    """The text of a file below `templates`."""
    lines = [f"{{{{- /* Made by tools/gen_charts.py from {source}; change it there. */}}}}"]
    for shared in _shared(manifest.parts):
        lines.append(_action(f"define {_literal(shared.name)}"))
        lines += _mapping(shared.tree, "")
        lines.append(_action("end"))
    for part in manifest.parts:
        lines += _part(part)
    if any(f'include "{_ENTRIES}"' in line for line in lines):
        lines.insert(1, _ENTRIES_TEMPLATE)
    if any(f'include "{_TEXT}"' in line for line in lines):
        lines.insert(1, _TEXT_TEMPLATE)
    return "\n".join(lines) + "\n"


def _shared(tree: object) -> Sequence[Shared]:
    """What stands in several places, each once."""
    found: dict[str, Shared] = {}
    for one in _walk(tree):
        if isinstance(one, Shared) and found.setdefault(one.name, one) != one:
            raise TreeError(f"two parts of a file are called {one.name}")
    return list(found.values())


def _walk(tree: object) -> Iterator[object]:
    yield tree
    below: Iterable[object] = ()
    if isinstance(tree, Branch):
        below = (getattr(tree, one.name) for one in fields(tree))  # type: ignore[arg-type]
    elif isinstance(tree, Mapping):
        below = tree.values()
    elif isinstance(tree, Sequence) and not isinstance(tree, str):
        below = tree
    for one in below:
        yield from _walk(one)


def _part(part: Part) -> Lines:
    if isinstance(part, Refusal):
        yield _action(f"if {condition(part.condition)}")
        yield _action(f"fail {_literal(part.words)}")
        yield _action("end")
    elif isinstance(part, Let):
        yield from _let(part)
    elif isinstance(part, When):
        yield _action(f"if {condition(part.condition)}")
        yield from _part_of(part.then)
        if part.otherwise is not None:
            yield _action("else")
            yield from _part_of(part.otherwise)
        yield _action("end")
    elif isinstance(part, Each):
        yield _action(f"range ${part.name} := {operand(part.over)}")
        yield from _part_of(part.item)
        yield _action("end")
    elif isinstance(part, Items):
        yield from _part_of(part)
    else:
        yield "---"
        yield from _mapping(part, "")


def _part_of(tree: Tree) -> Lines:
    if isinstance(tree, Items):
        for item in tree.items:
            yield from _part_of(item)
    elif isinstance(tree, (Mapping, When, Each)):
        yield from _part(tree)
    else:
        raise TreeError(f"no object: {tree!r}")


def _let(part: Let) -> Lines:
    if isinstance(part.value, WebhookCertificate):
        asked = (
            ("given", operand(Ref(part.value.at))),
            ("secret", _literal(part.value.secret)),
            ("host", operand(part.value.host)),
            ("namespace", operand(NAMESPACE)),
        )
        pairs = " ".join(f"{_literal(name)} {one}" for name, one in asked)
        call = f"include {_literal(CERTIFICATE_TEMPLATE)} (dict {pairs})"
        yield _action(f"${part.name} := {call} | fromJson")
        return
    if not isinstance(part.value, Without):
        yield _action(f"${part.name} := {operand(part.value)}")
        return
    yield _action(f"${part.name} := deepCopy {operand(part.value.value)}")
    for path in part.value.paths:
        parent, _, last = path.rpartition(".")
        yield _action(f"$_ := unset {operand(Ref(parent, of=part.name))} {_literal(last)}")


def _mapping(tree: Mapping[str, Tree], indent: str) -> Lines:
    for key, one in tree.items():
        yield from _entry(scalar(key), one, indent)


def _entry(key: str, one: Tree, indent: str) -> Lines:
    """Of a mapping."""
    if isinstance(one, When):
        yield _action(f"if {condition(one.condition)}", indent)
        yield from _entry(key, one.then, indent)
        if one.otherwise is not None:
            yield _action("else", indent)
            yield from _entry(key, one.otherwise, indent)
        yield _action("end", indent)
    elif _inline(one):
        yield f"{indent}{key}: {_inlined(one)}"
    else:
        yield f"{indent}{key}:"
        yield from _block(one, indent + _STEP)


def _block(tree: Tree, indent: str) -> Lines:
    """What has lines of its own."""
    if isinstance(tree, Shared):
        width = len(indent)
        yield _action(f"include {_literal(tree.name)} $ | trim | nindent {width}", indent)
    elif isinstance(tree, Extended):
        yield from _mapping(tree.own, indent)
        for number, layer in enumerate(tree.by):
            yield from _layer(layer, tree, indent, later=tree.by[number + 1 :])
    elif isinstance(tree, Mapping):
        yield from _mapping(tree, indent)
    elif isinstance(tree, Branch):
        yield from _item(tree, indent)
    elif isinstance(tree, Sequence):
        for item in tree:
            yield from _item(item, indent)


def _layer(layer: Expression, tree: Extended, indent: str, *, later: Sequence[Expression]) -> Lines:
    hidden = [f"(hasKey {operand(other)} $key)" for other in later]
    if tree.own:
        hidden.append(f"(has $key (list {' '.join(map(_literal, tree.own))}))")
    yield _action(f"range $key, $value := {operand(layer)}", indent)
    if hidden:
        shown = hidden[0] if len(hidden) == 1 else f"(or {' '.join(hidden)})"
        yield _action(f"if not {shown}", indent)
    yield f"{indent}{{{{ $key | toJson }}}}: {{{{ $value | toJson }}}}"
    if hidden:
        yield _action("end", indent)
    yield _action("end", indent)


def _item(item: Tree, indent: str) -> Lines:
    """Of a list."""
    if isinstance(item, When):
        yield _action(f"if {condition(item.condition)}", indent)
        yield from _item(item.then, indent)
        if item.otherwise is not None:
            yield _action("else", indent)
            yield from _item(item.otherwise, indent)
        yield _action("end", indent)
    elif isinstance(item, Each):
        yield _action(f"range ${item.name} := {operand(item.over)}", indent)
        yield from _item(item.item, indent)
        yield _action("end", indent)
    elif isinstance(item, Pairs):
        names = f"${item.name}Key, ${item.name}Value"
        yield _action(f"range {names} := {operand(item.over)}", indent)
        yield from _item(item.item, indent)
        yield _action("end", indent)
    elif isinstance(item, Items):
        for one in item.items:
            yield from _item(one, indent)
    elif _inline(item):
        yield f"{indent}- {_inlined(item)}"
    else:
        yield from _dashed(list(_block(item, indent + _STEP)), indent)


def _dashed(lines: Sequence[str], indent: str) -> Lines:
    """The first line behind a dash, unless it is an action, which would take the dash along."""
    if not lines:
        yield f"{indent}-"
        return
    first, *others = lines
    if first.lstrip().startswith("{{-"):
        yield f"{indent}-"
        yield first
    else:
        yield f"{indent}- {first.lstrip()}"
    yield from others


def _inline(tree: Tree) -> bool:
    return not isinstance(tree, Branch) and (
        not isinstance(tree, (Mapping, Sequence)) or isinstance(tree, str) or not tree
    )


def _inlined(tree: Tree) -> str:
    if isinstance(tree, Expression):
        return f"{{{{ {_pipeline(tree)} | toJson }}}}"
    if isinstance(tree, str):
        return scalar(tree)
    return json.dumps(tree)


def scalar(plain: str) -> str:
    """A text that is always the same, as YAML; what Helm would take for its own is kept from it."""
    if is_plain(plain):
        return plain
    if "{{" in plain or "}}" in plain:
        return f"{{{{ {_literal(plain)} | toJson }}}}"
    quoted = json.dumps(plain, ensure_ascii=False)
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _action(words: str, indent: str = "") -> str:
    return f"{indent}{{{{- {words} }}}}"


def condition(tested: Operand) -> str:
    """What stands after `if`."""
    if isinstance(tested, All):
        return " ".join(("and", *map(_tested, tested.parts)))
    if isinstance(tested, Any):
        return " ".join(("or", *map(_tested, tested.parts)))
    if isinstance(tested, Not):
        return f"not {_tested(tested.value)}"
    if isinstance(tested, Expression):
        return _pipeline(tested)
    raise TreeError("a condition that is always the same: leave it out of the tree")


def _tested(tested: Operand) -> str:
    """As a part of another condition."""
    written = condition(tested)
    return written if isinstance(tested, Ref) else f"({written})"


def _literal(plain: str) -> str:
    """A text as Go writes it."""
    return json.dumps(plain, ensure_ascii=False)


def operand(expression: Expression | Plain) -> str:
    """As an operand of another expression."""
    written = _pipeline(expression)
    plain = isinstance(expression, Ref) or not isinstance(expression, (Expression, Mapping, list))
    return written if plain else f"({written})"


@singledispatch
def _pipeline(expression: Expression | Plain) -> str:
    if expression is None:
        return "nil"
    if isinstance(expression, str):
        return _literal(expression)
    if isinstance(expression, Mapping):
        pairs = (f"{_literal(key)} {operand(one)}" for key, one in expression.items())
        return " ".join(("dict", *pairs))
    if isinstance(expression, Sequence):
        return " ".join(("list", *map(operand, expression)))
    return json.dumps(expression)


@_pipeline.register
def _(expression: Ref) -> str:
    written = (
        f"$.{expression.of}" if expression.of in {"Values", "Release"} else f"${expression.of}"
    )
    for word in expression.path.split(".") if expression.path else ():
        written = f"{written}.{word}" if _KEY.fullmatch(word) else f'(index {written} "{word}")'
    return written


@_pipeline.register
def _(expression: Text) -> str:
    return " ".join(("print", *map(_as_text, expression.parts)))


def _as_text(part: Operand) -> str:
    if isinstance(part, (str, Text, Applied, Joined, Entries)):
        return operand(part)
    return f'(include "{_TEXT}" {operand(part)})'


@_pipeline.register
def _(expression: Default) -> str:
    return f"default {operand(expression.otherwise)} {operand(expression.value)}"


@_pipeline.register
def _(expression: Choice) -> str:
    both = f"{operand(expression.then)} {operand(expression.otherwise)}"
    return f"ternary {both} {_truth(expression.condition)}"


def _truth(tested: Operand) -> str:
    """As true or false, which `ternary` and `toString` want where `if` takes what is not empty."""
    if isinstance(tested, (All, Any, AtLeast, Equal, Not)):
        return operand(tested)
    return f"(not (not {operand(tested)}))"


@_pipeline.register
def _(expression: Equal) -> str:
    return f"eq {_as_text(expression.left)} {_as_text(expression.right)}"


@_pipeline.register
def _(expression: AtLeast) -> str:
    return f"ge (int {operand(expression.value)}) {expression.least}"


@_pipeline.register
def _(expression: Not) -> str:
    return condition(expression)


@_pipeline.register(All)
@_pipeline.register(Any)
def _(expression: All | Any) -> str:
    return f"not (not ({condition(expression)}))"


@_pipeline.register
def _(expression: Applied) -> str:
    return f"{expression.function.value} {operand(expression.value)}"


@_pipeline.register
def _(expression: Entries) -> str:
    return f'include "{_ENTRIES}" {operand(expression.value)}'


@_pipeline.register
def _(expression: Joined) -> str:
    return f"join {_literal(expression.between)} {operand(expression.value)}"
