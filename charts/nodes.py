"""The language of the tree from which manifests are made.

A tree is made of plain values, of **expressions**, which stand for a value that is known later, and of
**branches**, which say whether something is there at all, and how often:

    {
        "replicas": Ref("controllerReplicas"),
        "image": text(Ref("proxy.image.name"), ":", Ref("proxy.image.version")),
        "priorityClassName": When(Ref("priorityClassName"), Ref("priorityClassName")),
        "labels": extended({"app": "x"}, Ref("podLabels")),
        "args": ["identity", When(Ref("disableIPv6"), Items(("--ipv6", "false")))],
        "subjects": Each("reader", Ref("configReaders"), {"name": Ref("name", of="reader")}),
    }

Truth is Helm's: nothing, false, 0 and what is empty are false. A mapping or a list of which in the end
nothing is there is null, as in what a template writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
Plain: TypeAlias = "Scalar | Mapping[str, Plain] | Sequence[Plain]"
"""What an evaluated tree consists of."""
Operand: TypeAlias = "Scalar | Expression"
"""A scalar, known now or later."""
Tree: TypeAlias = "Scalar | Expression | Branch | Mapping[str, Tree] | Sequence[Tree]"


class Expression:
    """Stands for a value."""

    __slots__ = ()


class Branch:
    """Stands for what may not be there, or for several."""

    __slots__ = ()


@dataclass(frozen=True)
class Ref(Expression):
    """What stands at a path, with dots between its words: of the values, of the release, or of what `Each` or
    `Let` named. Nothing, where there is nothing."""

    path: str
    of: str = "Values"


NAMESPACE: Final = Ref("Namespace", of="Release")
"""Where the control plane is installed."""


@dataclass(frozen=True)
class Text(Expression):
    """One text of all its parts; see `text`."""

    parts: tuple[Operand, ...]


def text(*parts: Operand) -> Text:
    """Its parts, one after the other. A part that is nothing is an error: say what stands for it."""
    return Text(parts)


@dataclass(frozen=True)
class Default(Expression):
    """A value, or the other one where it is empty."""

    value: Operand
    otherwise: Plain | Expression


@dataclass(frozen=True)
class Choice(Expression):
    """One of two values."""

    condition: Operand
    then: Operand
    otherwise: Operand


@dataclass(frozen=True)
class Equal(Expression):
    """Whether two values are the same text."""

    left: Operand
    right: Operand


@dataclass(frozen=True)
class AtLeast(Expression):
    """Whether a number is as large."""

    value: Operand
    least: int


@dataclass(frozen=True)
class Not(Expression):
    """Whether a value is false."""

    value: Operand


@dataclass(frozen=True)
class All(Expression):
    """Whether all are true; see `every`."""

    parts: tuple[Operand, ...]


@dataclass(frozen=True)
class Any(Expression):
    """Whether one is true; see `some`."""

    parts: tuple[Operand, ...]


def every(*parts: Operand) -> All:
    """Whether all of them are true."""
    return All(parts)


def some(*parts: Operand) -> Any:
    """Whether one of them is true."""
    return Any(parts)


class Function(Enum):
    """What can be made of a value, by the name that Helm has for it."""

    BASE64 = "b64enc"
    TRIM = "trim"
    SHA256 = "sha256sum"
    JSON = "toJson"
    YAML = "toYaml"


@dataclass(frozen=True)
class Applied(Expression):
    """What a function makes of a value."""

    function: Function
    value: Expression


@dataclass(frozen=True)
class Joined(Expression):
    """The texts of a list with something between them."""

    value: Expression
    between: str


@dataclass(frozen=True)
class Entries(Expression):
    """A mapping of scalars as text, in the order of its keys: a line `key=value` for each."""

    value: Expression


@dataclass(frozen=True)
class Without(Expression):
    """A mapping with some paths taken out of it. Stands in a `Let` only: Helm does this in statements."""

    value: Expression
    paths: tuple[str, ...]


@dataclass(frozen=True)
class WebhookCertificate(Expression):
    """A webhook's `crt` and `key`, and the `ca` that they are verified by, each as PEM. Stands in a
    `Let` only.

    Those that the values have at a path; otherwise Helm takes those that the webhook has already, and
    makes new ones for the host after half a year.
    """

    at: str
    secret: str
    host: Expression


@dataclass(frozen=True)
class When(Branch):
    """A branch under a condition. Where it is not met and nothing else is said, the key or item is not
    there.
    """

    condition: Operand
    then: Tree
    otherwise: Tree | None = None
    """Not there, if None: say `Choice` for a value that is null."""


@dataclass(frozen=True)
class Items(Branch):
    """Several items of the list in which it stands, in the place of one."""

    items: tuple[Tree, ...]


@dataclass(frozen=True)
class Each(Branch):
    """Items of the list in which it stands, or a list of its own: one for each item of a list, to which
    they refer by `Ref(path, of=name)`, or `Ref("", of=name)` for itself.
    """

    name: str
    over: Expression | Sequence[Plain]
    item: Tree


@dataclass(frozen=True)
class Pairs(Branch):
    """Items of the list in which it stands: one for each entry of a mapping of values, by its keys, to
    which they refer by `Ref("", of=f"{name}Key")` and `Ref("", of=f"{name}Value")`.
    """

    name: str
    over: Expression
    item: Tree


def spread(over: Expression) -> Each:
    """The items of a list of values, among others."""
    return Each("item", over, Ref("", of="item"))


@dataclass(frozen=True)
class Extended(Branch):
    """See `extended`."""

    own: Mapping[str, Tree]
    by: tuple[Expression, ...]


def extended(own: Mapping[str, Tree], *by: Expression) -> Extended:
    """A mapping with what values add to it, the last of which wins. What the mapping itself names is not
    changed by them.
    """
    return Extended(own, by)


@dataclass(frozen=True)
class Shared(Branch):
    """A mapping that stands in several places of a file, where templates have it once, under this name."""

    name: str
    tree: Mapping[str, Tree]


@dataclass(frozen=True)
class Let:
    """From here on in its file a name stands for a value, as `Ref(path, of=name)`."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Refusal:
    """Values that mean nothing: whoever gives them is told these words."""

    condition: Operand
    words: str


Part: TypeAlias = "Mapping[str, Tree] | When | Each | Items | Let | Refusal"


@dataclass(frozen=True)
class Manifest:
    """A file of manifests: objects (mappings, or mappings under a condition), one after the other."""

    name: str
    parts: tuple[Part, ...]
