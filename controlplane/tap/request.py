"""What may be watched: the traffic of which pods, and which of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, Self

from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import WORKLOADS, Kind, parse_kind
from linkerd2_py.controlplane.tap.refusals import BadRequestError

DEFAULT_MAX_RPS: Final = 100.0
LARGEST_MAX_RPS: Final = 10_000.0
LARGEST_BODY_BYTES: Final = 64 * 1024
TARGETS: Final = frozenset({*WORKLOADS, Kind.NAMESPACE, Kind.POD})
"""Kinds whose traffic can be watched."""
DESTINATIONS: Final = frozenset({*TARGETS, Kind.SERVICE})
"""Kinds that it may be on its way to."""

_LONGEST_NAME: Final = 253
_LONGEST_TEXT: Final = 2_000
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._:]*[A-Za-z0-9])?")
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_WORDS: Final = {"kind": "type", "to_kind": "to_type"}
"""Fields that JSON calls otherwise: by the words of the public API's other questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapRequest:
    """Which traffic is watched: of the pods of a `kind`, of one `name` or of all in a `namespace` (of a
    namespace by its name; a namespace without a name means all of them), which have the labels of
    `label_selector`, as kubectl writes it.

    Only what goes to something of `to_kind` is meant where that is said, in `to_namespace` or, without it, in
    any; and only what has this `method`, `scheme`, very `authority`, and a path that begins with `path`.

    At most `max_rps` requests a second are told of, by all proxies together. `headers`: with the headers and
    trailers of each.

    Equal requests are one question, asked of proxies once. Raises `BadRequestError` for what makes no sense.
    """

    kind: Kind
    name: str = ""
    namespace: str = ""
    label_selector: str = ""
    to_kind: Kind | None = None
    to_name: str = ""
    to_namespace: str = ""
    max_rps: float = DEFAULT_MAX_RPS
    method: str = ""
    scheme: str = ""
    authority: str = ""
    path: str = ""
    headers: bool = False

    def __post_init__(self) -> None:
        if self.kind not in TARGETS:
            raise BadRequestError(f"unsupported resource type [{self.kind}]: {_said(TARGETS)}")
        if self.to_kind is not None and self.to_kind not in DESTINATIONS:
            said = _said(DESTINATIONS)
            raise BadRequestError(f"to: unsupported resource type [{self.to_kind}]: {said}")
        if self.to_kind is None and (self.to_name or self.to_namespace):
            raise BadRequestError("to: of which type? name it as TYPE/NAME")
        for field in ("name", "namespace", "to_name", "to_namespace"):
            _check_name(field, getattr(self, field))
        for field in ("label_selector", "authority", "path", "scheme"):
            _check_text(field, getattr(self, field))
        if self.method and not _METHOD.fullmatch(self.method):
            raise BadRequestError(f"method: {self.method[:40]!r} is not a method of HTTP")
        if not (math.isfinite(self.max_rps) and 0 < self.max_rps <= LARGEST_MAX_RPS):
            raise BadRequestError(f"max_rps: must be above 0 and at most {LARGEST_MAX_RPS:.0f}")

    @classmethod
    def read(cls, body: bytes) -> Self:
        """What a JSON object asks, by the names of the fields; `type` and `to_type` are any of the names that
        kubectl has for a kind. Raises `BadRequestError`.
        """
        if len(body) > LARGEST_BODY_BYTES:
            raise BadRequestError(f"the request is longer than {LARGEST_BODY_BYTES} bytes")
        try:
            said = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequestError("the request is not JSON") from error
        if not isinstance(said, dict):
            raise BadRequestError("the request is not a JSON object")
        return cls.of(said)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """The same of an object that has been read."""
        known = {_WORDS.get(each.name, each.name): each for each in fields(cls)}
        for word in said:
            if word not in known:
                raise BadRequestError(f"{str(word)[:40]!r} is not known: use {', '.join(known)}")
        present = {word: value for word, value in said.items() if value not in ("", None)}
        if "type" not in present:
            raise BadRequestError("type is missing: whose traffic?")
        # A rate of 0 is what Linkerd's clients say where nobody asked for one.
        if present.get("max_rps") in (0, 0.0):
            del present["max_rps"]
        return cls(**{known[word].name: _value(word, value) for word, value in present.items()})

    def said(self) -> dict[str, Any]:
        """The JSON object that asks for it, without what goes without saying."""
        return {
            _WORDS.get(each.name, each.name): getattr(self, each.name)
            for each in fields(self)
            if each.default is MISSING or getattr(self, each.name) != each.default
        }


def _value(word: str, value: Any) -> Any:
    if word in {"type", "to_type"}:
        if not isinstance(value, str):
            raise BadRequestError(f"{word}: must be text")
        try:
            return parse_kind(value[:_LONGEST_NAME])
        except InvalidQueryError as error:
            raise BadRequestError(f"{word}: {error}") from error
    if word == "max_rps":
        # In Python a truth is a number.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadRequestError("max_rps: must be a number")
        return float(value) if abs(value) <= LARGEST_MAX_RPS else math.inf
    if word == "headers":
        if not isinstance(value, bool):
            raise BadRequestError("headers: must be true or false")
        return value
    if not isinstance(value, str):
        raise BadRequestError(f"{word}: must be text")
    return value


def _check_name(field: str, name: str) -> None:
    if name and (len(name) > _LONGEST_NAME or not _NAME.fullmatch(name)):
        raise BadRequestError(f"{field}: not a name: {name[:40]!r}")


def _check_text(field: str, value: str) -> None:
    if len(value) > _LONGEST_TEXT or not value.isprintable():
        raise BadRequestError(f"{field}: cannot be {value[:40]!r}")


def _said(kinds: frozenset[Kind]) -> str:
    return f"use one of {', '.join(sorted(kinds))}"
