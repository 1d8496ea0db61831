"""`typing` for a process that checks no types: its names, and tuples with names.

NamedTuple makes what it makes in `typing`, without compiling: annotations stay texts, a constructor is a
copy of one for as many fields, and the rest is shared. What is only an annotation is one object that takes
any subscript.
"""

from __future__ import annotations

from _collections import _tuplegetter  # type: ignore[import-not-found]  # as namedtuple does
from collections.abc import Iterable
from types import FunctionType

from linkerd2_py.proxy.stand_ins.lazy import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HINTS = (
    "Any", "Callable", "ClassVar", "Final", "Literal", "Never", "NoReturn", "Optional", "Self",
    "Tuple", "Type", "TypeAlias", "TypeVar", "Union",
)  # fmt: skip


class Hint:
    """Any annotation, and any of its parts."""

    __slots__ = ()

    def __getitem__(self, _: object) -> Hint:
        return self

    def __or__(self, _: object) -> Hint:
        return self

    __ror__ = __or__

    def __call__(self, *_: object, **__: object) -> Hint:
        return self


class Generic:
    """Base of classes with parameters, which are forgotten."""

    __slots__ = ()

    def __class_getitem__(cls, _: object) -> type:
        return cls


class Protocol(Generic):
    """Base of classes that only say what others have."""

    __slots__ = ()


class _TupleMaker(type):
    """Makes a class of tuples of a class body with annotations, as `typing` does; those stay texts."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Any:
        fields = tuple(body.get("__annotations__", ()))
        defaults = [body[field] for field in fields if field in body]
        if any(field not in body for field in fields[len(fields) - len(defaults) :]):
            raise TypeError(f"{name}: a field without a default cannot follow one with a default")
        members = {
            **_SHARED,
            "__doc__": f"{name}({', '.join(fields)})",
            "__slots__": (),
            "__match_args__": fields,
            "__new__": _constructor(name, fields, defaults),
            "_fields": fields,
            "_field_defaults": {field: body[field] for field in fields if field in body},
            **body,
            **{field: _tuplegetter(place, None) for place, field in enumerate(fields)},
        }
        return type(name, (tuple, Generic) if Generic in bases else (tuple,), members)


def _make(cls: Any, values: Iterable[object]) -> Any:
    made = tuple.__new__(cls, values)
    if len(made) != len(cls._fields):
        raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
    return made


def _replace(self: Any, /, **named: object) -> Any:
    made = self._make(map(named.pop, self._fields, self))
    if named:
        raise ValueError(f"Got unexpected field names: {list(named)!r}")
    return made


def _repr(self: Any) -> str:
    said = ", ".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
    return f"{type(self).__name__}({said})"


def _values(self: Any) -> tuple[object, ...]:
    return tuple(self)


_SHARED: dict[str, object] = {
    "_make": classmethod(_make),
    "_replace": _replace,
    "_asdict": lambda self: dict(zip(self._fields, self, strict=True)),
    "__repr__": _repr,
    "__getnewargs__": _values,
}
"""Of all classes of tuples. `collections.namedtuple` makes each of them anew."""
_templates: dict[int, FunctionType] = {}


def _constructor(name: str, fields: tuple[str, ...], defaults: list[object]) -> FunctionType:
    """`lambda cls, FIELDS: tuple.__new__(cls, (FIELDS,))`, compiled once for each number of fields."""
    template = _templates.get(len(fields))
    if template is None:
        names = "".join(f"_{place}, " for place in range(len(fields)))
        scope = {"_new": tuple.__new__, "__name__": __name__}
        template = eval(f"lambda _cls, {names}: _new(_cls, ({names}))", scope)  # noqa: S307
        _templates[len(fields)] = template
    code = template.__code__.replace(
        co_varnames=("_cls", *fields), co_name="__new__", co_qualname=f"{name}.__new__"
    )
    return FunctionType(code, template.__globals__, "__new__", tuple(defaults) or None)


def stand_in_for_typing() -> None:
    """Unless it is loaded."""
    hints: dict[str, object] = dict.fromkeys(_HINTS, Hint())
    on_demand(
        "typing",
        later=(),
        **hints,
        Generic=Generic,
        Protocol=Protocol,
        NamedTuple=type.__new__(_TupleMaker, "NamedTuple", (), {}),
        TYPE_CHECKING=False,
        cast=lambda _, value: value,
        final=lambda what: what,
        overload=lambda what: what,
    )
