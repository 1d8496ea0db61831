"""The same tree with other references, for those who know more than the values say.

A control-plane pod is meshed by the tree that any pod is meshed by; only that some of its values are not
the user's to choose. What is decided by what is known then is gone from the tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import singledispatch
from typing import Any as Anything
from typing import TypeAlias

from linkerd2_py.charts.evaluate import as_text
from linkerd2_py.charts.nodes import (
    All,
    Any,
    AtLeast,
    Branch,
    Choice,
    Default,
    Each,
    Equal,
    Expression,
    Items,
    Not,
    Operand,
    Plain,
    Ref,
    Tree,
    When,
)

Known: TypeAlias = "Mapping[str, Plain | Expression]"
"""By path: what stands there, or the reference that stands for it and all below it."""


def replaced(tree: Tree, known: Known) -> Tree:
    """The tree with what is known in the place of references to it."""
    if isinstance(tree, Ref):
        return _reference(tree, known)
    if isinstance(tree, (Expression, Branch)):
        decided: Tree = _decided(_node(tree, known))
        return decided
    if isinstance(tree, Mapping):
        made = {key: replaced(one, known) for key, one in tree.items()}
        return {key: one for key, one in made.items() if not _gone(one)}
    if isinstance(tree, Sequence) and not isinstance(tree, str):
        made_items = [replaced(one, known) for one in tree]
        return [one for one in made_items if not _gone(one)]
    return tree


def _reference(ref: Ref, known: Known) -> Tree:
    if ref.of != "Values":
        return ref
    words = ref.path.split(".")
    for count in range(len(words), 0, -1):
        path = ".".join(words[:count])
        if path in known:
            return _below(known[path], words[count:])
    return ref


def _below(found: Plain | Expression, words: Sequence[str]) -> Tree:
    """What stands at a path below something known."""
    if isinstance(found, Ref):
        return replace(found, path=".".join((found.path, *words)))
    for word in words:
        found = found.get(word) if isinstance(found, Mapping) else None
    return found


def _node(node: Expression | Branch, known: Known) -> Anything:
    """With all that it is made of."""
    made: Anything = node
    changed = {field.name: _field(getattr(made, field.name), known) for field in fields(made)}
    return replace(made, **changed)


def _field(found: Anything, known: Known) -> Anything:
    if isinstance(found, tuple):
        return tuple(replaced(one, known) for one in found)
    return replaced(found, known)


@singledispatch
def _decided(node: Anything) -> Anything:
    """A node of which the outcome is known, as its outcome."""
    return node


@_decided.register
def _(node: When) -> Anything:
    if isinstance(node.condition, Expression):
        return node
    chosen = node.then if node.condition else node.otherwise
    return Items(()) if chosen is None else chosen


@_decided.register
def _(node: Each) -> Anything:
    return node if isinstance(node.over, Expression) or node.over else Items(())


@_decided.register
def _(node: Choice) -> Anything:
    if isinstance(node.condition, Expression):
        return node
    return node.then if node.condition else node.otherwise


@_decided.register
def _(node: Default) -> Anything:
    return node if isinstance(node.value, Expression) else node.value or node.otherwise


@_decided.register
def _(node: Not) -> Anything:
    return node if isinstance(node.value, Expression) else not node.value


@_decided.register
def _(node: AtLeast) -> Anything:
    return node if isinstance(node.value, Expression) else int(node.value or 0) >= node.least


@_decided.register
def _(node: Equal) -> Anything:
    if isinstance(node.left, Expression) or isinstance(node.right, Expression):
        return node
    return as_text(node.left) == as_text(node.right)


@_decided.register
def _(node: All) -> Anything:
    open_parts, known = _sorted(node.parts)
    if not all(known):
        return False
    return (All(open_parts) if len(open_parts) > 1 else open_parts[0]) if open_parts else True


@_decided.register
def _(node: Any) -> Anything:
    open_parts, known = _sorted(node.parts)
    if any(known):
        return True
    return (Any(open_parts) if len(open_parts) > 1 else open_parts[0]) if open_parts else False


def _sorted(parts: Sequence[Operand]) -> tuple[tuple[Expression, ...], list[Plain]]:
    """Those that are open, and those that are known."""
    open_parts = tuple(part for part in parts if isinstance(part, Expression))
    return open_parts, [part for part in parts if not isinstance(part, Expression)]


def _gone(tree: Tree) -> bool:
    return isinstance(tree, Items) and not tree.items
