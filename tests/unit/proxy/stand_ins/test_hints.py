"""The stand-in for typing: annotations cost nothing, and tuples with names are those of typing."""

import copy
import subprocess
import sys
from typing import NamedTuple as Real

import pytest

from linkerd2_py.proxy.stand_ins.hints import Generic, Hint, Protocol, _TupleMaker

Lean = type.__new__(_TupleMaker, "NamedTuple", (), {})
NAME = """
class Named(Base):
    '''A tuple.'''

    one: int
    two: str = "two"

    LIMIT = 3

    def __str__(self) -> str:
        return f"{self!r}!"

    @property
    def both(self) -> str:
        return f"{self.one} {self.two}"

    @classmethod
    def of(cls, one: int) -> "Named":
        return cls(one)
"""


def made(base: object) -> type:
    scope: dict[str, type] = {"Base": base, "__name__": __name__}  # type: ignore[dict-item]
    exec(compile(NAME, "made", "exec", dont_inherit=True), scope)
    return scope["Named"]


@pytest.mark.parametrize(
    "question",
    [
        lambda named: named(1),
        lambda named: named(1, two="2"),
        lambda named: named.of(5).both,
        lambda named: named(1)._replace(one=9),
        lambda named: named(1)._asdict(),
        lambda named: named(1) == (1, "two"),
        lambda named: hash(named(1)),
        lambda named: named._make((1, "2")),
        lambda named: named.__new__.__name__,
        lambda named: named.__match_args__,
        lambda named: copy.copy(named(1, "2")),
        lambda named: repr(named(1)),
        lambda named: str(named(1)),
        lambda named: named.__new__.__qualname__,
        lambda named: (named._fields, named._field_defaults, named.LIMIT, named.__doc__),
        lambda named: (named.__name__, named.__module__, named.__mro__[1:]),
        lambda named: sorted(named.__annotations__),
        lambda named: type("Sub", (named,), {})(4).both,
        lambda named: list(named(1)),
    ],
)
def test_tuples_with_names_are_those_of_typing(question: object) -> None:
    assert question(made(Lean)) == question(made(Real))  # type: ignore[operator]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda named: named(),
        lambda named: named(1, 2, 3),
        lambda named: named(1, three=3),
        lambda named: named._make((1,)),
        lambda named: named(1)._replace(three=3),
        lambda named: setattr(named(1), "one", 3),
        lambda named: setattr(named(1), "three", 3),
    ],
)
def test_wrong_arguments_are_refused(wrong: object) -> None:
    for base in (Lean, Real):
        with pytest.raises((TypeError, ValueError, AttributeError)) as refused:
            wrong(made(base))  # type: ignore[operator]
        assert not isinstance(refused.value, AssertionError)


def test_a_field_without_a_default_cannot_follow_one_with_one() -> None:
    body = "class Named(Base):\n    one: int = 1\n    two: int\n"
    with pytest.raises(TypeError):
        exec(body, {"Base": Lean, "__name__": __name__})


def test_a_tuple_may_have_parameters() -> None:
    class Item(Lean, Generic[Hint()]):  # type: ignore[misc, valid-type]
        item: int

    assert Item[int](3) == (3,)


def test_annotations_take_any_subscript_and_join() -> None:
    hint = Hint()
    assert hint[int, ..., "text"] is hint
    assert (hint | None) is hint
    assert (None | hint) is hint
    assert hint("T", bound=int) is hint

    class Says(Protocol[hint]):  # type: ignore[valid-type, misc]
        """A protocol is a class."""

    assert Says


def test_what_is_not_stood_in_for_is_that_of_typing() -> None:
    script = (
        "from linkerd2_py.proxy.stand_ins import stand_in; stand_in(); import sys, typing; "
        "assert not hasattr(typing, '__file__'); "
        "from typing import get_type_hints, NamedTuple; "
        "assert sys.modules['typing'].__file__; "
        "print(get_type_hints(lambda x: x))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{}"
