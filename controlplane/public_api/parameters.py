"""Query parameters: one table that both checks requests and describes them in the OpenAPI document."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from linkerd2_py.controlplane.public_api.resources import InvalidQueryError

# Names of the mesh are far shorter; a longer value is a mistake or worse.
LONGEST_VALUE = 300
# Of one parameter that may be repeated.
MOST_VALUES = 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter."""

    name: str
    description: str
    required: bool = False
    boolean: bool = False
    repeated: bool = False

    def as_openapi(self) -> dict[str, object]:
        """Its parameter object."""
        schema: dict[str, object] = {"type": "boolean"} if self.boolean else {"type": "string"}
        if self.repeated:
            schema = {"type": "array", "items": schema, "maxItems": MOST_VALUES}
        return {
            "name": self.name,
            "in": "query",
            "required": self.required,
            "description": self.description,
            "schema": schema,
        }


def check_parameters(given: QueryParams, *, known: Sequence[Parameter]) -> dict[str, str]:
    """Single values by name (the first of repeated ones); raises `InvalidQueryError`."""
    by_name = {parameter.name: parameter for parameter in known}
    for name, value in given.multi_items():
        if name not in by_name:
            names = ", ".join(by_name) or "none"
            raise InvalidQueryError(f"unknown parameter {name[:40]!r}; known are: {names}")
        if len(value) > LONGEST_VALUE or not value.isprintable():
            raise InvalidQueryError(f"{name}: not a name: {value[:40]!r}")
        if by_name[name].boolean and value not in {"", "true", "false"}:
            raise InvalidQueryError(f"{name}: must be true or false, not {value[:40]!r}")
    for parameter in known:
        _check_count(parameter, values=given.getlist(parameter.name))
    return {name: given.getlist(name)[0] for name in given}


def _check_count(parameter: Parameter, *, values: Sequence[str]) -> None:
    if parameter.required and not any(values):
        raise InvalidQueryError(f"{parameter.name} is missing: {parameter.description}")
    if len(values) > (MOST_VALUES if parameter.repeated else 1):
        raise InvalidQueryError(f"{parameter.name} is given too often")
