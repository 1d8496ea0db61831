"""The rules of `match` in a mesh.yaml: which requests are meant.

A text is meant as it stands, `/*` behind a path means it and all below it; what else Gateway API has is
said by its word (`{prefix: …}`, `{regex: …}`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from linkerd2_py.controlplane.mesh.routes import GRPCMatch, HTTPMatch, PathMatch, ValueMatch
from linkerd2_py.controlplane.sources.local import notations
from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

EVERY_PATH: Final = PathMatch("PathPrefix", "/")
EVERYTHING: Final = (HTTPMatch(EVERY_PATH),)
"""As Gateway API has it where nothing is said."""
T = TypeVar("T")
_HTTP: Final = ("path", "method", "headers", "query")
_GRPC: Final = ("grpc", "headers")
_ANY: Final = (*_HTTP, "grpc")
_PATHS: Final = {"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}
_BELOW: Final = "/*"
_PATH: Final = re.compile(r"/[!-~]*\Z")
# A name of a package with its services, of a service, of a method.
_CALL: Final = re.compile(r"([A-Za-z_][\w.]{0,250})(?:/([A-Za-z_]\w{0,250}))?\Z", re.ASCII)
_EVERY_CALL: Final = "*"
_NO_GRPC: Final = "is of gRPC; by HTTP a call is path: /SERVICE/METHOD"
_NO_HTTP: Final = "is of HTTP; beside grpc only headers can be matched"
MOST: Final = 64
"""Matches of a route, as many as Gateway API takes."""

HTTPMatches = tuple[HTTPMatch, ...]
GRPCMatches = tuple[GRPCMatch, ...]


class MatchRules:
    """What cannot be used is noted in the reader, and None."""

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader

    def is_grpc(self, spot: Spot) -> bool:
        """Whether calls of gRPC are meant, by one of what may be several."""
        spots = self._reader.one_or_more(spot)
        return any("grpc" in self._reader.names(each) for each in spots)

    def http(self, spot: Spot) -> HTTPMatches | None:
        """Any of these."""
        return self._all(spot, self._http, allowed=_HTTP)

    def grpc(self, spot: Spot) -> GRPCMatches | None:
        """Any of these; none means every call."""
        found = self._all(spot, self._grpc, allowed=_GRPC)
        return () if found and GRPCMatch() in found else found

    def _all(
        self, spot: Spot, read: Callable[[dict[str, Spot]], T | None], *, allowed: tuple[str, ...]
    ) -> tuple[T, ...] | None:
        spots = self._reader.items(spot) if self._reader.is_list(spot) else [spot]
        if spots is None:
            return None
        if len(spots) > MOST:
            self._reader.refuse(spot, reason=f"has more than {MOST} matches")
            return None
        found = [self._one(each, read, allowed=allowed) for each in spots]
        known = tuple(one for one in found if one is not None)
        return known if len(known) == len(found) else None

    def _one(
        self, spot: Spot, read: Callable[[dict[str, Spot]], T | None], *, allowed: tuple[str, ...]
    ) -> T | None:
        entries = self._reader.some(spot, allowed=_ANY)
        if not entries:
            return None
        strangers = [name for name in entries if name not in allowed]
        for name in strangers:
            self._reader.refuse(entries[name], reason=_NO_HTTP if "grpc" in allowed else _NO_GRPC)
        return None if strangers else read(entries)

    # HTTP

    def _http(self, entries: dict[str, Spot]) -> HTTPMatch | None:
        path = self._path(entries["path"]) if "path" in entries else EVERY_PATH
        method = notations.method(self._reader, entries["method"]) if "method" in entries else ""
        headers = self._headers(entries)
        query = self._values(entries["query"]) if "query" in entries else ()
        if path is None or method is None or headers is None or query is None:
            return None
        return HTTPMatch(path, headers, query, method)

    def _path(self, spot: Spot) -> PathMatch | None:
        if self._reader.is_mapping(spot):
            found = self._said(spot, words=tuple(_PATHS))
            if found is None:
                return None
            word, value = found
            if word == "regex":
                text = notations.pattern(self._reader, value)
                return None if text is None else PathMatch(_PATHS[word], text)
            text = self._plain_path(value)
            return None if text is None else PathMatch(_PATHS[word], text)
        text = self._plain_path(spot)
        if text is None:
            return None
        if "*" in text.removesuffix(_BELOW):
            self._reader.refuse(spot, reason="has a * that is not /* at its end: use {regex: …}")
            return None
        if text.endswith(_BELOW):
            return PathMatch("PathPrefix", text.removesuffix(_BELOW) or "/")
        if text.endswith("/") and text != "/":
            # Half of all people would mean the one, half the other.
            reason = f"write {text}* for all below it, or {{exact: {text}}}"
            self._reader.refuse(spot, reason=reason)
            return None
        return PathMatch("Exact", text)

    def _plain_path(self, spot: Spot) -> str | None:
        text = self._reader.text(spot)
        if text is None:
            return None
        if not _PATH.match(text) or "?" in text or "#" in text:
            reason = f"must be a path that begins with /, without spaces and ?, not {text[:40]!r}"
            self._reader.refuse(spot, reason=reason)
            return None
        return text

    # gRPC

    def _grpc(self, entries: dict[str, Spot]) -> GRPCMatch | None:
        headers = self._headers(entries)
        if "grpc" not in entries:
            return None if headers is None else GRPCMatch(headers=headers)
        text = self._reader.text(entries["grpc"])
        if text is None or headers is None:
            return None
        if text == _EVERY_CALL:
            return GRPCMatch(headers=headers)
        found = _CALL.match(text)
        if not found:
            reason = f"must be SERVICE, SERVICE/METHOD or '*', not {text[:40]!r}"
            self._reader.refuse(entries["grpc"], reason=reason)
            return None
        return GRPCMatch(has_method=True, service=found[1], method=found[2] or "", headers=headers)

    # headers, and parameters of the query

    def _headers(self, entries: dict[str, Spot]) -> tuple[ValueMatch, ...] | None:
        if "headers" not in entries:
            return ()
        spot = entries["headers"]
        sound = [
            notations.header_name(self._reader, spot.below(name, node=spot.node), name)
            for name in self._reader.names(spot)
        ]
        return self._values(spot) if all(sound) else None

    def _values(self, spot: Spot) -> tuple[ValueMatch, ...] | None:
        spots = self._reader.mapping(spot)
        if spots is None:
            return None
        if not spots:
            self._reader.refuse(spot, reason="must not be empty")
        found = [self._value(name, each) for name, each in spots.items()]
        known = tuple(one for one in found if one is not None)
        return known if len(known) == len(found) else None

    def _value(self, name: str, spot: Spot) -> ValueMatch | None:
        if not self._reader.is_mapping(spot):
            text = self._reader.text(spot)
            return None if text is None else ValueMatch(name, text)
        said = self._said(spot, words=("exact", "regex"))
        if said is None:
            return None
        word, value = said
        is_regex = word == "regex"
        text = notations.pattern(self._reader, value) if is_regex else self._reader.text(value)
        return None if text is None else ValueMatch(name, text, regex=is_regex)

    def _said(self, spot: Spot, *, words: tuple[str, ...]) -> tuple[str, Spot] | None:
        """The only field of a mapping."""
        entries = self._reader.fields(spot, allowed=words)
        if entries is None or (len(entries) < len(self._reader.names(spot))):
            return None
        if len(entries) != 1:
            self._reader.refuse(spot, reason=f"must say one of {', '.join(words)}")
            return None
        return next(iter(entries.items()))
