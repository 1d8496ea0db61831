"""One declaration checks requests, types their values, and describes itself."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pytest
from starlette.datastructures import QueryParams

from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.openapi import document, schema_of
from linkerd2_py.controlplane.public_api.operation import (
    LONGEST_VALUE,
    MOST_VALUES,
    Declaration,
    Operation,
    Parameter,
)


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidQueryError(f"not a number: {text}") from error


@dataclass(frozen=True, slots=True)
class Asked:
    name: Annotated[str, Parameter("the name")]
    tags: Annotated[tuple[int, ...], Parameter("some numbers", whole)] = ()
    deep: Annotated[bool, Parameter("all of it")] = False
    size: Annotated[int | None, Parameter("how large", whole, ("1", "2"))] = None


class Answer(TypedDict):
    """What is answered here."""

    rows: list[dict[str, float | None]]


DECLARED = Declaration(Asked)


def read(query: str) -> Asked:
    return DECLARED.read(QueryParams(query))


def test_values_have_the_types_of_their_fields() -> None:
    assert read("name=a&tags=1&tags=2&deep=true&size=2") == Asked("a", (1, 2), deep=True, size=2)


def test_what_is_not_given_or_empty_has_its_default() -> None:
    assert read("name=a") == read("name=a&deep=&size=") == Asked("a")
    assert read("name=a&deep=false") == Asked("a")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "name is missing: the name"),
        ("name=", "name is missing: the name"),
        ("name=a&name=b", "name is given too often"),
        ("name=a&size=1&size=2", "size is given too often"),
        ("name=a" + "&tags=1" * (MOST_VALUES + 1), "tags is given too often"),
        ("name=a&more=1", "unknown parameter 'more'; known are: name, tags, deep, size"),
        ("name=" + "a" * (LONGEST_VALUE + 1), f"name: not a name: '{'a' * 40}'"),
        ("name=a%0Ab", r"name: not a name: 'a\nb'"),
        ("name=a&deep=yes", "deep: must be true or false, not 'yes'"),
        ("name=a&size=x", "not a number: x"),
        ("name=a&tags=1&tags=", "not a number: "),
    ],
)
def test_what_is_wrong_is_named(query: str, message: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        read(query)
    assert str(caught.value) == message


async def answer(_asked: Asked) -> Answer:
    return {"rows": []}


def test_the_document_says_what_is_checked() -> None:
    found: Any = document([Operation("/rows", "The rows", Asked, Answer, answer)])
    operation = found["paths"]["/rows"]["get"]
    assert (operation["summary"], operation["operationId"]) == ("The rows", "answer")
    parameters = {each.pop("name"): each for each in operation["parameters"]}
    text = {"type": "string"}
    assert parameters == {
        "name": {"in": "query", "required": True, "description": "the name", "schema": text},
        "tags": {
            "in": "query",
            "required": False,
            "description": "some numbers",
            "schema": {"type": "array", "items": text, "maxItems": MOST_VALUES},
        },
        "deep": {
            "in": "query",
            "required": False,
            "description": "all of it",
            "schema": {"type": "boolean"},
        },
        "size": {
            "in": "query",
            "required": False,
            "description": "how large",
            "schema": {**text, "enum": ["1", "2"]},
        },
    }
    number_or_null = {"oneOf": [{"type": "number"}, {"type": "null"}]}
    row = {"type": "object", "additionalProperties": number_or_null}
    assert found["components"]["schemas"]["Answer"] == {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": row}},
        "required": ["rows"],
    }


def test_words_of_which_one_is_chosen_are_listed() -> None:
    assert schema_of(Literal["a", "b"]) == {"type": "string", "enum": ["a", "b"]}


def test_what_cannot_be_declared_is_noticed_at_the_start() -> None:
    @dataclass(frozen=True)
    class Bare:
        name: str

    with pytest.raises(TypeError, match="name is no parameter"):
        Declaration(Bare)
    with pytest.raises(TypeError, match="no schema is known"):
        schema_of(set[str])
