"""`typing` for a process that checks no types: its names, and tuples with names.

NamedTuple is what it is in `typing`, `collections.namedtuple` with annotations; those stay texts, which
`typing` compiles. What is only an annotation is one object that takes any subscript.
"""

from __future__ import annotations

from collections import namedtuple

from linkerd2_py.proxy.stand_ins.lazy import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OWN = frozenset(("__module__", "__name__", "__annotations__"))
"""Of a class body; the tuple has its own."""
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
        types = body.get("__annotations__", {})
        defaults = [body[field] for field in types if field in body]
        if any(field not in body for field in list(types)[len(types) - len(defaults) :]):
            raise TypeError(f"{name}: a field without a default cannot follow one with a default")
        make: Any = namedtuple  # noqa: PYI024  # how a tuple of `typing` is made, too
        made = make(name, types, defaults=defaults, module=body["__module__"])
        made.__annotations__ = made.__new__.__annotations__ = types
        if Generic in bases:
            made.__bases__ = (tuple, Generic)
        for member, value in body.items():
            if member not in _OWN and member not in types:
                setattr(made, member, value)
        return made


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
