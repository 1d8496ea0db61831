"""The rules of what a route of a mesh.yaml does to its requests: fields that it changes, where it sends them
instead, and how many of them fail on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from linkerd2_py.controlplane.mesh.routes import (
    Failure,
    Filter,
    HeaderModifier,
    HTTPMatch,
    Redirect,
    Rewrite,
)
from linkerd2_py.controlplane.policy.admission.notations import path_problem
from linkerd2_py.controlplane.sources.local import notations
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

OF_REQUESTS: Final = ("requestHeaders", "responseHeaders", "rewrite", "redirect", "fail")
"""What a route may do."""
OF_BACKENDS: Final = ("requestHeaders", "responseHeaders", "fail")
"""What may be done to the requests that go to one of its backends."""
_CHANGES: Final = ("add", "set", "remove")
OF_ARRIVALS: Final = ("requestHeaders", "redirect")
"""What may be done to requests where they arrive."""
_REWRITE: Final = ("host", "path", "prefix")
_REDIRECT: Final = ("scheme", "host", "port", "path", "prefix", "status")
_SCHEMES: Final = ("http", "https")
_STATUSES: Final = ("301", "302", "303", "307", "308")
_FAIL: Final = ("status", "code", "share", "message")
_CODES: Final = {
    name: number
    for number, name in enumerate(
        (
            "cancelled",
            "unknown",
            "invalid-argument",
            "deadline-exceeded",
            "not-found",
            "already-exists",
            "permission-denied",
            "resource-exhausted",
            "failed-precondition",
            "aborted",
            "out-of-range",
            "unimplemented",
            "internal",
            "unavailable",
            "data-loss",
            "unauthenticated",
        ),
        start=1,
    )
}
_FAILED: Final = "a route makes it fail"
_LONGEST_MESSAGE: Final = 200


class FilterRules:
    """What cannot be used is noted in the reader and left out."""

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader

    def filters(self, entries: dict[str, Spot], *, grpc: bool) -> tuple[Filter, ...]:
        """What is done, in this order."""
        found = (
            self._changes(entries, "requestHeaders", of="request"),
            self._response_changes(entries, grpc=grpc),
            self._rewrite(entries, grpc=grpc) if "rewrite" in entries else None,
            self._redirect(entries["redirect"], grpc=grpc) if "redirect" in entries else None,
            self._failure(entries["fail"], grpc=grpc) if "fail" in entries else None,
        )
        return tuple(one for one in found if one is not None)

    # fields

    def _response_changes(self, entries: dict[str, Spot], *, grpc: bool) -> HeaderModifier | None:
        if grpc and "responseHeaders" in entries:
            reason = "of calls of gRPC only the headers of requests can be changed"
            self._reader.refuse(entries["responseHeaders"], reason=reason)
            return None
        return self._changes(entries, "responseHeaders", of="response")

    def _changes(
        self, entries: dict[str, Spot], field: str, *, of: Literal["request", "response"]
    ) -> HeaderModifier | None:
        if field not in entries:
            return None
        said = self._reader.some(entries[field], allowed=_CHANGES)
        return HeaderModifier(
            of,
            adds=self._values(said["add"]) if "add" in said else (),
            sets=self._values(said["set"]) if "set" in said else (),
            removes=self._removed(said["remove"]) if "remove" in said else (),
        )

    def _values(self, spot: Spot) -> tuple[tuple[str, str], ...]:
        found = []
        for name, each in (self._reader.mapping(spot) or {}).items():
            value = self._reader.text(each)
            if value is not None and notations.field_change(
                self._reader, each, name=name, value=value
            ):
                found.append((name, value))
        return tuple(found)

    def _removed(self, spot: Spot) -> tuple[str, ...]:
        names = [(each, self._reader.text(each)) for each in self._reader.items(spot) or ()]
        return tuple(
            name
            for each, name in names
            if name and notations.field_change(self._reader, each, name=name)
        )

    # elsewhere

    def _redirect(self, spot: Spot, *, grpc: bool) -> Redirect | None:
        if grpc:
            self._reader.refuse(spot, reason="calls of gRPC cannot be redirected")
            return None
        entries = self._reader.fields(spot, allowed=_REDIRECT)
        if entries is None:
            return None
        if not {*self._reader.names(spot)} - {"status"}:
            where = ", ".join(word for word in _REDIRECT if word != "status")
            self._reader.refuse(spot, reason=f"must say where to: {where}")
        path, kind = self._new_path(entries)
        return Redirect(
            scheme=self._word(entries, "scheme", _SCHEMES),
            hostname=self._host(entries["host"]) if "host" in entries else "",
            path_kind=kind,
            path=path,
            port=self._port(entries),
            status=int(self._word(entries, "status", _STATUSES) or 0),
        )

    def _rewrite(self, fields: dict[str, Spot], *, grpc: bool) -> Rewrite | None:
        spot = fields["rewrite"]
        if grpc or "redirect" in fields:
            what = "calls of gRPC keep" if grpc else "a request that is sent elsewhere keeps"
            self._reader.refuse(spot, reason=f"{what} what is asked for")
            return None
        entries = self._reader.some(spot, allowed=_REWRITE)
        path, kind = self._new_path(entries)
        return Rewrite(self._host(entries["host"]) if "host" in entries else "", kind, path)

    def check_beginnings(self, fields: dict[str, Spot], matches: tuple[HTTPMatch, ...]) -> None:
        """What takes the place of the beginning of a path needs one that is meant."""
        for word in ("redirect", "rewrite"):
            prefix = self._reader.peek(fields[word], "prefix") if word in fields else None
            whole = [one for one in matches if one.path and one.path.kind != "PathPrefix"]
            if prefix is not None and whole:
                reason = (
                    "takes the place of what a path such as /old/* means, and match has another"
                )
                self._reader.refuse(prefix, reason=reason)

    def _new_path(self, entries: dict[str, Spot]) -> tuple[str, str]:
        if "path" in entries and "prefix" in entries:
            self._reader.refuse(entries["prefix"], reason="stands in the place of path: say either")
        for name, kind in (("path", "ReplaceFullPath"), ("prefix", "ReplacePrefixMatch")):
            if name in entries:
                return self._checked(entries[name], path_problem), kind
        return "", ""

    def _host(self, spot: Spot) -> str:
        return self._checked(spot, lambda text: "" if host_sound(text) else "must be a host name")

    def _port(self, entries: dict[str, Spot]) -> int:
        if "port" not in entries:
            return 0
        return self._reader.whole(entries["port"], least=1, most=65535) or 0

    def _word(self, entries: dict[str, Spot], name: str, words: tuple[str, ...]) -> str:
        return (self._reader.one_of(entries[name], words=words) or "") if name in entries else ""

    def _checked(self, spot: Spot, problem: Callable[[str], str]) -> str:
        text = self._reader.text(spot)
        if text is None:
            return ""
        if found := problem(text):
            self._reader.refuse(spot, reason=found[:200])
        return text

    # failures

    def _failure(self, spot: Spot, *, grpc: bool) -> Failure | None:
        if not self._reader.is_mapping(spot):
            status = self._code(spot) if grpc else self._status(spot)
            return None if status is None else Failure(status, _FAILED)
        entries = self._reader.fields(spot, allowed=_FAIL)
        if entries is None:
            return None
        needed, stranger = ("code", "status") if grpc else ("status", "code")
        if stranger in entries:
            what = "of HTTP: a call of gRPC fails with a code" if grpc else "of gRPC"
            self._reader.refuse(entries[stranger], reason=f"is {what}")
            return None
        if needed not in entries:
            self._reader.refuse(spot.below(needed, node=spot.node), reason="is missing")
            return None
        status = self._code(entries[needed]) if grpc else self._status(entries[needed])
        part = notations.share(self._reader, entries["share"]) if "share" in entries else 1
        message = self._message(entries["message"]) if "message" in entries else _FAILED
        if status is None or part is None or message is None:
            return None
        return Failure(status, message, part.numerator, part.denominator)

    def _status(self, spot: Spot) -> int | None:
        return self._reader.whole(spot, least=400, most=599)

    def _code(self, spot: Spot) -> int | None:
        name = self._reader.one_of(spot, words=tuple(_CODES))
        return None if name is None else _CODES[name]

    def _message(self, spot: Spot) -> str | None:
        text = self._reader.text(spot)
        if text is None:
            return None
        if text.isascii() and text.isprintable() and 0 < len(text) <= _LONGEST_MESSAGE:
            return text
        reason = f"must be 1 to {_LONGEST_MESSAGE} characters of ASCII that can be shown"
        self._reader.refuse(spot, reason=reason)
        return None


def host_sound(text: str) -> bool:
    """Whether it may be the name of a host."""
    labels = text.split(".")
    return len(text) <= 253 and all(
        label.isascii()
        and label.replace("-", "a").isalnum()
        and len(label) <= 63
        and not label.startswith("-")
        and not label.endswith("-")
        for label in labels
    )
