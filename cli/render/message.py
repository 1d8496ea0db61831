"""A message of the proxy API as Linkerd prints it: as Go's JSON has it, which scripts read.

A choice is a field of its own, named as Go names it, and so is what was chosen; everything else has the
name that it has in the protocol, and is left out where it is empty.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def as_document(message: Message) -> dict[str, Any]:
    """Its fields, in their order."""
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        choice = field.containing_oneof
        # What is optional is a choice of one, which Go shows as any other field.
        if choice is None or choice.name.startswith("_"):
            if _is_there(message, field):
                found[field.name] = _value(getattr(message, field.name), field)
        elif _go_name(choice.name) not in found:
            found[_go_name(choice.name)] = _chosen(message, choice.name)
    return found


def _is_there(message: Message, field: Any) -> bool:
    return (
        message.HasField(field.name) if field.has_presence else bool(getattr(message, field.name))
    )


def _chosen(message: Message, choice: str) -> dict[str, Any] | None:
    name = message.WhichOneof(choice)
    if name is None:
        return None
    field = message.DESCRIPTOR.fields_by_name[name]
    return {_go_name(name): _value(getattr(message, name), field)}


def _value(value: Any, field: Any) -> Any:
    if isinstance(value, Mapping):
        of = field.message_type.fields_by_name["value"]
        return {str(name): _single(value[name], of) for name in sorted(value)}
    if field.is_repeated:
        return [_single(one, field) for one in value]
    return _single(value, field)


def _single(value: Any, field: Any) -> Any:
    if isinstance(value, Message):
        return as_document(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    return _number(value, field) if isinstance(value, float) else value


def _number(value: float, field: Any) -> float:
    # One of 32 bits has that many digits; more of them are those of its wider copy.
    rounded = float(f"{value:.7g}") if field.type == FieldDescriptor.TYPE_FLOAT else value
    return int(rounded) if rounded.is_integer() else rounded


def _go_name(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))
