"""An operation of the public API, declared once: what may be asked, in which words, and what the answer looks
like.

What is asked is a dataclass, each of whose fields is one query parameter: `NAME: Annotated[TYPE,
Parameter(...)]`. It is required unless the field has a default, and may be repeated if its type is a tuple.
The answer is a `TypedDict`. Requests are checked, the OpenAPI document is written, and the type checker holds
code against, the same declaration.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from starlette.datastructures import QueryParams

from linkerd2_py.controlplane.public_api.errors import InvalidQueryError

# Names of the mesh are far shorter; a longer value is a mistake or worse.
LONGEST_VALUE = 300
# Of one parameter that may be repeated.
MOST_VALUES = 100

Asked = TypeVar("Asked")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is said of one query parameter, and how its text is read.

    `read` raises `InvalidQueryError`; `values` are all the texts that it takes, where these can be listed.
    """

    description: str
    read: Callable[[str], Any] = str
    values: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """No parameters."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter with what its field says of it."""

    name: str
    parameter: Parameter
    required: bool
    boolean: bool
    repeated: bool

    def read(self, values: Sequence[str]) -> Any:
        """The value of the field."""
        if self.repeated:
            return tuple(map(self.parameter.read, values))
        if self.boolean:
            return values[0] == "true"
        return self.parameter.read(values[0])


class Declaration(Generic[Asked]):
    """The query parameters that the fields of a dataclass declare, in their order."""

    def __init__(self, asked: type[Asked]) -> None:
        hints = get_type_hints(asked, include_extras=True)
        # Every such class is a dataclass, which no type can say.
        found: Sequence[Field[Any]] = fields(asked)  # type: ignore[arg-type]
        self._asked = asked
        self._known = {each.name: _declared(each, hint=hints[each.name]) for each in found}

    @property
    def parameters(self) -> Sequence[Declared]:
        """All of them."""
        return tuple(self._known.values())

    def read(self, given: QueryParams) -> Asked:
        """Check a request against what may be asked. An empty value is none; raises `InvalidQueryError`."""
        for name, value in given.multi_items():
            _check_value(name, value, known=self._known)
        texts = {name: given.getlist(name) for name in self._known}
        for name, each in self._known.items():
            _check_count(each, values=texts[name])
        present = (each for each in self.parameters if any(texts[each.name]) or each.repeated)
        return self._asked(**{each.name: each.read(texts[each.name]) for each in present})


@dataclass(frozen=True)
class Operation(Generic[Asked]):
    """One GET operation; `answer` is the `TypedDict` of what `run` answers to an `asked`."""

    path: str
    summary: str
    asked: type[Asked]
    answer: type
    run: Callable[[Asked], Awaitable[Mapping[str, object]]]

    @cached_property
    def declaration(self) -> Declaration[Asked]:
        """What may be asked."""
        return Declaration(self.asked)


def _declared(found: Field[Any], *, hint: Any) -> Declared:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"{found.name} is no parameter: write Annotated[TYPE, Parameter(...)]")
    kind, parameter = get_args(hint)
    return Declared(
        name=found.name,
        parameter=parameter,
        required=found.default is MISSING,
        boolean=kind is bool,
        repeated=get_origin(kind) is tuple,
    )


def _check_value(name: str, value: str, *, known: Mapping[str, Declared]) -> None:
    if name not in known:
        names = ", ".join(known) or "none"
        raise InvalidQueryError(f"unknown parameter {name[:40]!r}; known are: {names}")
    if len(value) > LONGEST_VALUE or not value.isprintable():
        raise InvalidQueryError(f"{name}: not a name: {value[:40]!r}")
    if known[name].boolean and value not in {"", "true", "false"}:
        raise InvalidQueryError(f"{name}: must be true or false, not {value[:40]!r}")


def _check_count(each: Declared, *, values: Sequence[str]) -> None:
    if each.required and not any(values):
        raise InvalidQueryError(f"{each.name} is missing: {each.parameter.description}")
    if len(values) > (MOST_VALUES if each.repeated else 1):
        raise InvalidQueryError(f"{each.name} is given too often")
