"""The OpenAPI 3.1 document of the public API, made from the declarations of its operations."""

from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from linkerd2_py import __version__
from linkerd2_py.controlplane.public_api.operation import MOST_VALUES, Declared, Operation

Schema = dict[str, object]
_SIMPLE: Mapping[Any, str] = {str: "string", float: "number", int: "integer", bool: "boolean"}


class Error(TypedDict):
    """What is answered where something is wrong, in one line."""

    error: str


def document(operations: Sequence[Operation[Any]]) -> dict[str, object]:
    """Everything a client generator needs."""
    answers = [*(operation.answer for operation in operations), Error]
    return {
        "openapi": "3.1.0",
        "info": {"title": "linkerd2-py public API", "version": __version__},
        "paths": {operation.path: {"get": _operation(operation)} for operation in operations},
        "components": {"schemas": {answer.__name__: schema_of(answer) for answer in answers}},
    }


def schema_of(kind: Any) -> Schema:
    """The JSON schema of what is made of `TypedDict`s, lists, mappings, values of several types, plain ones
    and words of which one is chosen.
    """
    if kind is NoneType:
        return {"type": "null"}
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    if is_typeddict(kind):
        fields = {name: schema_of(hint) for name, hint in get_type_hints(kind).items()}
        return {"type": "object", "properties": fields, "required": list(fields)}
    origin, of = get_origin(kind), get_args(kind)
    if origin is list:
        return {"type": "array", "items": schema_of(of[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(of[1])}
    if origin is Literal:
        return {"type": "string", "enum": list(of)}
    if origin is UnionType:
        return {"oneOf": [schema_of(one) for one in of]}
    raise TypeError(f"no schema is known for {kind!r}")


def _operation(operation: Operation[Any]) -> Schema:
    name = operation.answer.__name__
    return {
        "summary": operation.summary,
        "operationId": name[0].lower() + name[1:],
        "parameters": [_parameter(each) for each in operation.declaration.parameters],
        "responses": {
            "200": _response("the answer", schema=name),
            "400": _response("a parameter is wrong", schema=Error.__name__),
        },
    }


def _parameter(each: Declared) -> Schema:
    schema: Schema = {"type": "boolean"} if each.boolean else {"type": "string"}
    if each.parameter.values:
        schema["enum"] = list(each.parameter.values)
    if each.repeated:
        schema = {"type": "array", "items": schema, "maxItems": MOST_VALUES}
    return {
        "name": each.name,
        "in": "query",
        "required": each.required,
        "description": each.parameter.description,
        "schema": schema,
    }


def _response(description: str, *, schema: str) -> Schema:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}
